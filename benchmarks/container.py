"""The container of `docker/compose.yaml`, with all its options: what it may do, what it answers, what it survives.

    podman build --format docker -t fer_serve .                              # or docker
    FER_FASTAI_TOKEN=secret podman-compose -f docker/compose.yaml up -d --no-build
    FER_FASTAI_TOKEN=secret python benchmarks/container.py --engine podman   # writes results/container.json, stops the container

Killed, it has to come back; stopped, it has to end by itself; large images, 24 at a time, must not exceed its memory.
"""
import argparse, collections, io, json, os, signal, subprocess, time, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import matplotlib.cbook as cbook
from PIL import Image
from fer_fastai.evaluation.records import surroundings
from fer_fastai.files import write_json
from fer_fastai.inference.predictor import Predictor

ROOT = Path(__file__).parents[1]
AT = 'http://127.0.0.1:8000'
PHOTO = Path(cbook.get_sample_data('grace_hopper.jpg', asfileobj=False))

def asked(path, body=None, token=os.environ.get('FER_FASTAI_TOKEN')):
    "Status and text of an answer; 0 where there is none."
    head = {'Content-Type': 'image/jpeg'} | ({'Authorization': f'Bearer {token}'} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(AT + path, body, head), timeout=60) as r: return r.status, r.read().decode()
    except urllib.error.HTTPError as e: return e.code, e.read().decode()
    except OSError: return 0, ''

def seconds_until_ready():
    "How long it takes from now on."
    start = time.perf_counter()
    while asked('/ready')[0] != 200:
        if time.perf_counter() - start > 60: raise SystemExit('the service does not become ready')
        time.sleep(.1)
    return round(time.perf_counter() - start, 1)

def large(megapixels):
    "A portrait, enlarged."
    image, f = Image.open(PHOTO), io.BytesIO()
    scale = (megapixels * 1e6 / (image.width * image.height)) ** .5
    image.resize((round(image.width * scale), round(image.height * scale))).save(f, 'JPEG', quality=60)
    return f.getvalue()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--engine', default='docker')
    p.add_argument('--base', default='python:3.12-slim', help='the base image that it was built on, for the record')
    p.add_argument('--out', type=Path, default=ROOT/'results/container.json')
    args = p.parse_args()
    def engine(*words): return subprocess.run([args.engine, *words], check=True, capture_output=True, text=True).stdout.strip()
    def state(what): return engine('inspect', box, '--format', '{{.State.%s}}' % what)
    def status(): return dict(l.split(':', 1) for l in Path(f"/proc/{state('Pid')}/status").read_text().splitlines())

    box = engine('ps', '-q', '--filter', 'name=fer').split()[0]
    seconds_until_ready()
    first, root = status(), subprocess.run([args.engine, 'exec', box, 'touch', '/x'], capture_output=True)
    limit = int(engine('inspect', box, '--format', '{{.HostConfig.Memory}}')) / 2**20
    face = json.loads(asked('/predict', PHOTO.read_bytes())[1])['faces'][0]
    stranger = asked('/predict', PHOTO.read_bytes(), token=None)[0]
    own = Predictor('quick')(PHOTO).faces[0]
    differs = max(abs(face['probabilities'][k] - v) for k, v in own.probabilities.items())
    with ThreadPoolExecutor(24) as pool: answers = [s for s, _ in pool.map(lambda b: asked('/predict', b), [large(42)] * 48)]
    peak = int(status()['VmHWM'].split()[0]) / 1024

    os.kill(int(state('Pid')), signal.SIGKILL)
    time.sleep(.5)
    back = round(.5 + seconds_until_ready(), 1)
    start = time.perf_counter()
    engine('stop', box)
    said = dict(
        engine=engine('--version'), base=args.base, image_mb=round(int(engine('image', 'inspect', 'fer_serve', '--format', '{{.Size}}')) / 2**20),
        user=int(first['Uid'].split()[0]), capabilities=int(first['CapEff'], 16), no_new_privileges=first['NoNewPrivs'].strip() == '1',
        root_read_only=root.returncode != 0, memory_limit_mb=round(limit), without_token=stranger, largest_difference=differs,
        large_images=dict(collections.Counter(map(str, answers))), peak_mb=round(peak), ready_after_kill_s=back,
        stopped_s=round(time.perf_counter() - start, 1), exit_code=int(state('ExitCode')), **surroundings())
    write_json(args.out, said)
    print(json.dumps(said, indent=1))

if __name__ == '__main__': main()
