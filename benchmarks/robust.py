"""What a service meets: threads, endless streams, damaged files. Every image gets an answer, in its place, in time, in bounded memory.

    python benchmarks/robust.py data/fer2013.csv          # about ten minutes on two cores; writes results/robust.json

threads  8 threads with 500 good and bad images each share one Predictor; each answer is compared with that of a single thread.
stream   20,000 images, encoded, with detection; resident memory after the first 1,000 and at most afterwards.
fuzz     2,000 damaged files: flipped bits, cut ends, wrong names, headers that claim huge sizes; the slowest answer, and the most memory.
"""
import argparse, io, json, struct, subprocess, sys, tempfile, threading, time, zlib
from collections import Counter
from pathlib import Path
from peers import enlarged, memory

def encoded(a, kind='jpeg'):
    from PIL import Image
    f = io.BytesIO(); Image.fromarray(a).save(f, kind)
    return f.getvalue()

def threads(px, n=500, k=8):
    import numpy as np
    from fer_fastai.inference.predictor import Predictor
    rng, bad = np.random.default_rng(0), [None, b'', b'hello', 'none.jpg', np.zeros((0, 0, 3)), np.full((48, 48), np.nan), np.zeros((1, 1)), 7]
    def good(i):
        a = enlarged(px[i])
        return (a, a / 255, np.stack([a] * 3, 2), encoded(a), encoded(a, 'png'))[i % 5]
    lists = [[bad[rng.integers(len(bad))] if rng.random() < .25 else good(int(rng.integers(len(px)))) for _ in range(n)] for _ in range(k)]
    shared = Predictor(tta='none')
    want = [shared(l, crop='always', workers=1) for l in lists]
    got = [None] * k
    def work(i): got[i] = shared(lists[i], crop='always')
    start = time.perf_counter()
    crew = [threading.Thread(target=work, args=(i,)) for i in range(k)]
    for t in crew: t.start()
    for t in crew: t.join()
    seconds = time.perf_counter() - start
    lost = sum(n - len(g) for g in got)
    key = lambda r: (r.image, r.status, r.why, [(f.box, f.emotion) for f in r.faces])
    off = sum(key(a) != key(b) for g, w in zip(got, want) for a, b in zip(g, w))
    most = max(abs(x - y) for g, w in zip(got, want) for a, b in zip(g, w) for f, h in zip(a.faces, b.faces) for x, y in zip(f.probabilities.values(), h.probabilities.values()))
    return dict(threads=k, images=k * n, statuses=Counter(r.status for g in got for r in g), lost=lost, other_than_one_thread=off, largest_difference_of_a_probability=most, images_per_second=round(k * n / seconds))

def stream(px, n=20_000):
    from fer_fastai.inference.predictor import Predictor
    files = [encoded(enlarged(p)) for p in px[:1000]]
    start, first, most, counts = time.perf_counter(), None, 0, Counter()
    for i, r in enumerate(Predictor(tta='none').stream((files[i % 1000] if i % 50 else b'damaged' for i in range(n)), crop='always'), 1):
        counts[r.status] += 1
        if i == 1000: first = memory('VmRSS')
        if i > 1000 and i % 100 == 0: most = max(most, memory('VmRSS'))
    return dict(images=n, statuses=counts, memory_after_1000_mb=round(first, 1), memory_at_most_afterwards_mb=round(most, 1), growth_mb=round(most - first, 1), images_per_second=round(n / (time.perf_counter() - start)))

def damaged(files, rng):
    "One damaged file: its bytes, and a suffix."
    kinds = list(files)
    kind = kinds[rng.integers(len(kinds))]
    data, suffix = bytearray(files[kind]), kind
    what = ('bits', 'cut', 'name', 'size', 'noise')[rng.integers(5)]
    if what == 'bits':
        for i in rng.integers(0, len(data), rng.integers(1, 60)): data[i] ^= 1 << rng.integers(8)
        if rng.random() < .5:
            for i in rng.integers(0, min(200, len(data)), 4): data[i] = rng.integers(256)
    elif what == 'cut': data = data[:rng.integers(len(data))]
    elif what == 'name': suffix = kinds[rng.integers(len(kinds))]
    elif what == 'noise': data[rng.integers(len(data)):] = rng.bytes(int(rng.integers(1, 5000)))
    else:
        w, h = (int(v) for v in rng.integers(5_000, 60_000, 2))
        if kind == 'png': data[16:24] = struct.pack('>II', w, h); data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
        elif kind == 'bmp': data[18:26] = struct.pack('<ii', w, h)
        elif kind == 'gif': data[6:10] = struct.pack('<HH', w, h)
        elif kind == 'jpeg':
            at = next(i for i in range(len(data) - 1) if data[i] == 0xff and data[i + 1] in (0xc0, 0xc2))
            data[at + 5:at + 9] = struct.pack('>HH', h, w)
        else:
            for i in range(8, min(len(data) - 4, 400), 2):
                if data[i:i + 4] in (struct.pack('<I', 400), struct.pack('<I', 300), struct.pack('<HH', 400, 0), struct.pack('<HH', 300, 0)): data[i:i + 4] = struct.pack('<I', w)
    return bytes(data), what, suffix

def fuzz(px, n=2_000):
    import numpy as np
    from fer_fastai.inference.predictor import Predictor
    rng = np.random.default_rng(0)
    photo = np.full((300, 400, 3), 120, dtype=np.uint8); photo[50:242, 100:292] = enlarged(px[0])[..., None]
    files = {k: encoded(photo, k) for k in ('jpeg', 'png', 'bmp', 'gif', 'tiff', 'webp')}
    predictor = Predictor(tta='none'); predictor(photo)
    before, slow, statuses = memory(), [], Counter()
    with tempfile.TemporaryDirectory() as d:
        for i in range(n):
            data, what, suffix = damaged(files, rng)
            f = Path(d)/f'{i}.{suffix}'; f.write_bytes(data)
            start = time.perf_counter()
            r = predictor(f)
            slow.append((time.perf_counter() - start, what, suffix)); statuses[f'{what}: {r.status}'] += 1
            f.unlink()
    return dict(files=n, statuses=dict(sorted(statuses.items())), slowest_seconds=round(max(slow)[0], 3), slowest=max(slow)[1:], memory_before_mb=round(before), memory_at_most_mb=round(memory()))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='FER2013, as for fer_train')
    parser.add_argument('--only', choices=('threads', 'stream', 'fuzz'), help=argparse.SUPPRESS)      # the process of one part
    args = parser.parse_args()
    from fer_fastai.data.readers import read_faces
    if args.only: return print(json.dumps(globals()[args.only](read_faces(args.source, progress=False).usage('PublicTest').pixels)))
    from fer_fastai.files import write_json
    from fer_fastai.evaluation.records import surroundings
    said = {}
    for part in ('threads', 'stream', 'fuzz'):
        run = subprocess.run([sys.executable, __file__, args.source, '--only', part], capture_output=True, text=True)
        if run.returncode: sys.exit(f'{part} ended with {run.returncode}: {run.stderr[-800:]}')
        said[part] = json.loads(run.stdout.splitlines()[-1]) | dict(on_stderr=len(run.stderr))
        print(part, json.dumps(said[part]), flush=True)
    write_json(Path(__file__).parents[1]/'results/robust.json', said | surroundings())

if __name__ == '__main__': main()
