# The HTTP service without torch: ONNX Runtime, MediaPipe, FastAPI. The image holds the models and both detector files, so that it
# starts offline.
#
#     docker build -t fer_serve . && docker run --rm -p 127.0.0.1:8000:8000 fer_serve
FROM python:3.12-slim AS build
COPY . /src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -r /src/docker/requirements.txt \
    && /venv/bin/pip install --no-cache-dir --no-deps /src
ENV FER_FASTAI_HOME=/models
RUN /venv/bin/fer_setup

FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libegl1 libgles2 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* && useradd --uid 10001 --no-create-home fer
COPY --from=build /venv /venv
COPY --from=build /models /models
ENV FER_FASTAI_HOME=/models PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s CMD ["/venv/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["/venv/bin/fer_serve", "--host", "0.0.0.0"]
