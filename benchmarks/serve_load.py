"""What the HTTP service meets: fifty clients for five minutes, among them junk, bodies that are too large, and clients that stall.

    pip install locust psutil
    python benchmarks/serve_load.py                     # five minutes on two cores; writes results/serve_load.json
    python benchmarks/serve_load.py --seconds 20 --out /tmp/serve_load.json

Locust drives `fer_serve`, a process of its own on the loopback interface, as `fer_serve` starts it. Right is 200 for images and 400, 408,
413 or 422 for what is wrong with the others; 503 with Retry-After is the queue's answer where all places are taken, and counted by itself.
Anything else is an error. The service's memory is read each second.
"""
import argparse, json, os, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve()
SERVE = 'from fer_fastai.cli.use import fer_serve; fer_serve()'

if 'locust' in sys.modules:                                       # this file is also what Locust reads
    import io
    import matplotlib.cbook as cbook
    from locust import HttpUser, between, task
    from PIL import Image

    def _file(image, kind):
        f = io.BytesIO()
        image.save(f, kind)
        return f.getvalue()

    PHOTO = Path(cbook.get_sample_data('grace_hopper.jpg', asfileobj=False)).read_bytes()
    CROP = _file(Image.open(io.BytesIO(PHOTO)).convert('L').crop((170, 130, 370, 330)).resize((48, 48)), 'png')
    LARGE = b'\xff\xd8' + bytes(25_000_000)

    class Client(HttpUser):
        wait_time = between(.05, .5)

        def ask(self, name, right, path='/predict', **kwargs):
            with self.client.post(path, name=name, catch_response=True, timeout=60, **kwargs) as r:
                queued = r.status_code == 503 and 'retry-after' in {k.lower() for k in r.headers}
                if queued: r.request_meta['name'] = f'{name}: told to come again'
                if queued or r.status_code in right: r.success()
                else: r.failure(f'{r.status_code} {r.text[:200]}')
            if queued: time.sleep(1)                              # as it was told

        @task(10)
        def photo(self): self.ask('photo', {200}, data=PHOTO)

        @task(10)
        def crop(self): self.ask('crop', {200}, data=CROP)

        @task(3)
        def batch(self):
            self.ask('batch of 8 crops', {200}, '/predict/batch', files=[('files', ('a.png', CROP))] * 8)

        @task(2)
        def junk(self): self.ask('junk', {200, 400}, data=os.urandom(2000))          # 200: an answer that says unreadable

        @task(1)
        def nothing(self): self.ask('no body', {400})

        @task(1)
        def large(self): self.ask('25 MB', {413}, data=LARGE)

        @task(1)
        def odd(self): self.ask('a word that it does not know', {422}, '/predict?crop=loud', data=CROP)

        @task(1)
        def health(self):
            with self.client.get('/health', catch_response=True) as r: r.success() if r.ok else r.failure(r.status_code)

        @task(1)
        def stall(self):
            "A byte, and then nothing: the service must end it."
            at, start = urlsplit(self.host), time.monotonic()
            with socket.create_connection((at.hostname, at.port), timeout=60) as s:
                s.sendall(b'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx')
                said = s.recv(200).decode('latin-1')
            good = ' 408 ' in said or ' 503 ' in said
            self.environment.events.request.fire(
                request_type='POST', name='stalled', response_time=1000 * (time.monotonic() - start), response_length=len(said),
                exception=None if good else ValueError(said[:100]), context={})

def _port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def _memory(process, kept, ended):
    while not ended.wait(1): kept.append(process.memory_info().rss)

def main():
    import numpy as np, pandas as pd, psutil, requests
    from fer_fastai.evaluation.records import surroundings
    from fer_fastai.files import write_json
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seconds', type=int, default=300)
    p.add_argument('--clients', type=int, default=50)
    p.add_argument('--out', type=Path, default=HERE.parents[1]/'results/serve_load.json')
    args = p.parse_args()
    port = _port()
    at = f'http://127.0.0.1:{port}'
    service = subprocess.Popen([sys.executable, '-c', SERVE, '--port', str(port)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(60):
            try:
                if requests.get(f'{at}/ready', timeout=5).ok: break
            except requests.ConnectionError: time.sleep(1)
        memory, ended = [], threading.Event()
        threading.Thread(target=_memory, args=(psutil.Process(service.pid), memory, ended), daemon=True).start()
        with tempfile.TemporaryDirectory() as d:
            locust = [sys.executable, '-m', 'locust', '-f', HERE, '--headless', '-u', args.clients, '-r', 10, '-t',
                      f'{args.seconds}s', '-H', at, '--csv', f'{d}/load', '--only-summary', '--loglevel', 'ERROR']
            subprocess.run([str(a) for a in locust], stdout=subprocess.DEVNULL)
            rows = pd.read_csv(f'{d}/load_stats.csv')
            wrong = pd.read_csv(f'{d}/load_failures.csv')
        ended.set()
        alive = requests.get(f'{at}/ready', timeout=10).status_code
    finally:
        service.terminate()
        service.wait(30)
    half = [float(np.mean(part)) for part in (memory[20:len(memory) // 2], memory[len(memory) // 2:])]
    asked = {r['Name']: dict(requests=r['Request Count'], errors=r['Failure Count'], p50_ms=r['50%'], p95_ms=r['95%'],
                             slowest_ms=r['Max Response Time'], a_second=r['Requests/s']) for _, r in rows.iterrows()}
    said = dict(seconds=args.seconds, clients=args.clients, asked=asked, errors=wrong.to_dict('records'), ready_afterwards=alive,
                memory_first_half=half[0], memory_second_half=half[1], memory_most=max(memory), memory=memory[::5])
    write_json(args.out, json.loads(json.dumps(said, default=float)) | surroundings())

if __name__ == '__main__': main()
