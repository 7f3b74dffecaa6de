# The HTTP service without torch: ONNX Runtime, MediaPipe, FastAPI. The image holds the models and both detector files, so that it
# starts offline. BASE is any Debian image with Python and its venv module.
#
#     docker build -t fer_serve . && docker run --rm -p 127.0.0.1:8000:8000 fer_serve
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
COPY . /src
# MediaPipe asks for the large OpenCV with windows; it runs with the small one that the requirements name
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -r /src/docker/requirements.txt \
    && /venv/bin/pip install --no-cache-dir --no-deps 'mediapipe>=0.10.33' /src
# MediaPipe loads the two dispatch libraries and draws nothing: no driver behind them, which would bring LLVM
RUN apt-get update && cd /tmp && apt-get download libegl1 libgles2 libglvnd0 \
    && for deb in *.deb; do dpkg -x "$deb" /gl; done
ENV FER_FASTAI_HOME=/models
RUN cp -r /gl/usr/lib/. /usr/lib/ && ldconfig && /venv/bin/fer_setup && /venv/bin/pip uninstall -q -y pip

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home fer
COPY --from=build /gl/usr/lib/ /usr/lib/
COPY --from=build /venv /venv
COPY --from=build /models /models
RUN ldconfig
ENV FER_FASTAI_HOME=/models PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER 10001
# the build ends here where a library is missing
RUN ["/venv/bin/python", "-c", "from fer_fastai.data.detection import FaceDetector; FaceDetector().prepare()"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s CMD ["/venv/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["/venv/bin/fer_serve", "--host", "0.0.0.0"]
