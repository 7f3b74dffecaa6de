"""This package against `fer`, of those on the package index the one that works without a download: accuracy, speed, memory, in turns, in one run.

    python -m venv peers && peers/bin/pip install fer
    python benchmarks/peers.py data/fer2013.csv --peer peers/bin/python          # about a quarter of an hour on two cores; writes results/peers.json

On PublicTest, twice: on the crops as they are, one at a time as a service would (and, for 8 bits, in batches); and end to end, each with its
own detector, on the same faces enlarged four times to 192 pixels, where a face that isn't found is an error. Each task is a process of its
own; memory is the most that it ever held. Speeds are medians of the rounds; start-up, import included, is apart.
"""
import argparse, json, statistics, subprocess, sys, tempfile, time
from pathlib import Path

TASKS = {     # name: whose, what, how
    'fer, crops': ('fer', 'crops', dict()),
    'fer, Haar, end to end': ('fer', 'found', dict()),
    'fer, MTCNN, end to end': ('fer', 'found', dict(mtcnn=True)),
    'quick, ten crops, crops': ('ours', 'crops', dict(tta='ten')),
    'quick, one view, crops': ('ours', 'crops', dict(tta='none')),
    'quick_int8, one view, crops': ('ours', 'crops', dict(run='quick_int8', tta='none')),
    'quick_int8, one view, crops in batches': ('ours', 'batches', dict(run='quick_int8', tta='none')),
    'quick_int8, ten crops, crops in batches': ('ours', 'batches', dict(run='quick_int8', tta='ten')),
    'quick, ten crops, end to end': ('ours', 'found', dict(tta='ten')),
    'quick, one view, end to end': ('ours', 'found', dict(tta='none')),
    'quick_int8, ten crops, end to end': ('ours', 'found', dict(run='quick_int8', tta='ten')),
    'quick_int8, one view, end to end': ('ours', 'found', dict(run='quick_int8', tta='none')),
}

def memory(key='VmHWM'):
    "The most that this process held (VmRSS: holds now), MB; getrusage would count its parent's, too."
    return int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) / 1024

def enlarged(pixels):
    "A crop, four times as large."
    import numpy as np
    from PIL import Image
    return np.asarray(Image.fromarray(pixels).resize((192, 192), Image.Resampling.BICUBIC))

def work(whose, what, how, data):
    "One task in this process: guesses (code, or None), seconds, memory."
    start = time.perf_counter()
    if whose == 'fer':
        import cv2, importlib.metadata
        from fer.fer import FER
        imported, after = time.perf_counter() - start, memory()
        code = {v: k for k, v in FER._get_labels().items()}
        model = FER(offsets=(0, 0) if what == 'crops' else (10, 10), **how)
        def guess(p):
            found = model.detect_emotions(cv2.cvtColor(p, cv2.COLOR_GRAY2BGR), [(0, 0, *p.shape)] if what == 'crops' else None)
            if not found: return None
            best = max(found, key=lambda f: f['box'][2] * f['box'][3])['emotions']
            return code[max(best, key=best.get)]
        version = importlib.metadata.version('fer')
    else:
        from fer_fastai import __version__ as version
        from fer_fastai.inference.predictor import Predictor
        imported, after = time.perf_counter() - start, memory()
        model = Predictor(**how)
        kind = dict(crop='always' if what == 'found' else 'never', which='largest')
        code = {v: k for k, v in enumerate(model.vocab)}
        def guess(p):
            r = model(p, **kind)
            return code.get(r.emotion)
    import numpy as np
    faces = np.load(data)
    guess(faces[0])
    ready, begun = time.perf_counter() - start, time.perf_counter()
    guesses = model.probabilities(faces).argmax(1).tolist() if what == 'batches' else [guess(p) for p in faces]
    return dict(guesses=guesses, seconds=time.perf_counter() - begun, imported=imported, ready=ready, memory_imported=after, memory=memory(), version=version)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='FER2013, as for fer_train')
    parser.add_argument('--peer', required=True, help='the Python of an environment with fer')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--limit', type=int, help='only so many faces, to try it out; nothing is written')
    args = parser.parse_args()
    import numpy as np
    from fer_fastai.core import progress
    from fer_fastai.files import write_json
    from fer_fastai.inference.runtime import instruction_set
    from fer_fastai.data.readers import read_faces
    from fer_fastai.evaluation.records import surroundings
    part = read_faces(args.source, progress=False).usage('PublicTest')
    px, labels = part.pixels[:args.limit], part.labels[:args.limit]
    said = {k: [] for k in TASKS}
    with tempfile.TemporaryDirectory() as d:
        np.save(f'{d}/crops.npy', px)
        np.save(f'{d}/found.npy', np.stack([enlarged(p) for p in px]))
        for name in progress([k for _ in range(args.rounds) for k in TASKS], sys.stdout.isatty()):
            whose, what, how = TASKS[name]
            python = args.peer if whose == 'fer' else sys.executable
            run = subprocess.run([python, __file__, '--worker', json.dumps([whose, what, how, f"{d}/{'found' if what == 'found' else 'crops'}.npy"])], capture_output=True, text=True, cwd=d)
            if run.returncode: sys.exit(f'{name} failed: {run.stderr.strip().splitlines()[-1:]}')
            said[name].append(json.loads(run.stdout.splitlines()[-1]))
    rows = {}
    for name, rounds in said.items():
        guesses = np.array([-1 if g is None else g for g in rounds[0]['guesses']])
        f1 = [2 * ((guesses == k) & (labels == k)).sum() / max(1, (guesses == k).sum() + (labels == k).sum()) for k in range(7)]
        middle = lambda k: statistics.median(r[k] for r in rounds)
        rows[name] = dict(version=rounds[0]['version'], n=len(px), accuracy=float((guesses == labels).mean()), macro_f1=float(np.mean(f1)), found=float((guesses >= 0).mean()),
                          images_per_second=round(len(px) / middle('seconds'), 1), rounds=[round(len(px) / r['seconds'], 1) for r in rounds], import_seconds=round(middle('imported'), 2), ready_seconds=round(middle('ready'), 2),
                          memory_imported_mb=round(middle('memory_imported')), memory_mb=round(middle('memory')))
        r = rows[name]
        print(f"{name:44} accuracy {r['accuracy']:.3f} macro-F1 {r['macro_f1']:.3f} found {r['found']:.3f} {r['images_per_second']:7.0f}/s  import {r['import_seconds']:.2f} s {r['memory_imported_mb']} MB, at most {r['memory_mb']} MB")
    if not args.limit: write_json(Path(__file__).parents[1]/'results/peers.json', dict(rows=rows, usage='PublicTest', fingerprint=part.fingerprint, enlarged_to=192, instruction_set=instruction_set(), **surroundings()))

if __name__ == '__main__':
    if sys.argv[1:2] == ['--worker']: print(json.dumps(work(*json.loads(sys.argv[2]))))
    else: main()
