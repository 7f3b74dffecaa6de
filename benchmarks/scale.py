"""Photos a second by number of workers: `BatchPredictor` in Ray Data, and `fer_serve`'s application behind several processes.

    pip install 'fer_fastai[ray,serve]' psutil
    python benchmarks/scale.py                          # some minutes; writes results/scale.json

The photos are two portraits with a free licence (Matplotlib's Grace Hopper, scikit-image's astronaut), mirrored, in several sizes, so that
reading, finding the face and judging it are all in the figure. A worker of Ray has one core; a process of the service has a thread for each
core, and its clients run on the same ones. Starting the workers is not counted: a first round
warms them up.
"""
import argparse, itertools, os, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
KINDS = dict(quick={}, quick_int8=dict(run='quick_int8', tta='none'))         # one view, in floats and in 8 bits

def photos(folder, n):
    "JPEG files of portraits."
    import skimage.data
    from matplotlib.cbook import get_sample_data
    from PIL import Image, ImageOps
    pair = Image.open(get_sample_data('grace_hopper.jpg')).convert('RGB'), Image.fromarray(skimage.data.astronaut())
    several = [*pair, *map(ImageOps.mirror, pair)]
    for i, im in zip(range(n), itertools.cycle(several)):
        side = 480 + 160 * (i % 5)
        im.resize((side, round(side * im.height / im.width))).save(folder/f'{i:05}.jpg', quality=90)
    return sorted(map(str, folder.glob('*.jpg')))

def in_ray(paths, workers, chosen):
    "Photos a second in Ray Data."
    import ray, ray.data
    from fer_fastai.inference.batch import BatchPredictor
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level='ERROR')
    ray.data.DataContext.get_current().enable_progress_bars = False
    how = dict(batch_size=32, concurrency=workers, num_cpus=1, fn_constructor_kwargs=chosen)
    def went(paths):
        start = time.perf_counter()
        data = ray.data.from_items([dict(path=p) for p in paths], override_num_blocks=4 * workers)
        n = data.map_batches(BatchPredictor, **how).count()
        assert n >= len(paths)
        return time.perf_counter() - start
    try:
        empty = went(paths[:4 * workers])                         # actors start anew in each run
        return len(paths) / (went(paths) - empty)
    finally: ray.shutdown()

def in_service(paths, workers, seconds):
    "Photos a second over HTTP, sixteen clients."
    import requests
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    command = [sys.executable, '-m', 'uvicorn', '--factory', 'fer_fastai.inference.service:create_service', '--port', port,
               '--workers', workers, '--log-level', 'error', '--no-access-log']
    server = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bodies, done, ended = [Path(p).read_bytes() for p in paths[:100]], [], threading.Event()
    def client(k):
        with requests.Session() as web:
            for body in itertools.cycle(bodies[k:] + bodies[:k]):
                if ended.is_set(): return
                try: r = web.post(f'http://127.0.0.1:{port}/predict', data=body, timeout=60)
                except requests.ConnectionError: time.sleep(.5)
                else: done.append((time.perf_counter(), r.status_code))
    clients = [threading.Thread(target=client, args=(k,)) for k in range(16)]
    try:
        for c in clients: c.start()
        while not any(code == 200 for _, code in list(done)): time.sleep(.2)
        time.sleep(5)
        start = time.perf_counter()
        time.sleep(seconds)
        ended.set()
        good = [t for t, code in done if code == 200 and start <= t < start + seconds]
        for c in clients: c.join()
        return len(good) / seconds
    finally:
        ended.set()
        server.terminate()
        server.wait(30)

def main():
    import psutil
    from fer_fastai.evaluation.records import surroundings
    from fer_fastai.files import write_json
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--photos', type=int, default=1200)
    p.add_argument('--seconds', type=int, default=30)
    p.add_argument('--out', type=Path, default=Path(__file__).resolve().parents[1]/'results/scale.json')
    args = p.parse_args()
    counts, rows = [w for w in (1, 2, 4, 8, 16) if w <= psutil.cpu_count()], []
    with tempfile.TemporaryDirectory() as d:
        paths = photos(Path(d), args.photos)
        for workers in counts:
            for name, chosen in KINDS.items():
                rows.append(dict(way='Ray Data', model=name, workers=workers, photos_a_second=in_ray(paths, workers, chosen)))
            served = in_service(paths, workers, args.seconds)
            rows.append(dict(way='fer_serve', model='quick', workers=workers, photos_a_second=served))
    write_json(args.out, dict(photos=len(paths), rows=rows) | surroundings())

if __name__ == '__main__': main()
