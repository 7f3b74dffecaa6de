"""kill -9 at random moments: trainings and tables are killed, taken up with the same command, and compared with uninterrupted ones.

    python benchmarks/kills.py --trainings 50 --tables 50          # about an hour on two cores; writes results/kills.json

trainings  three epochs on drawn faces, with learning-rate finder, mixup and an average of the weights: `fer_train … --resume`.
           Weights, optimiser state, history, figures and the model's metadata have to be equal, bit for bit; nothing may be left over.
tables     `fer_predict FOLDER --csv TABLE` over small images, one of which is damaged: the same bytes, and the same exit code.

The moment is drawn uniformly from the time between the first trace of the work and its end, as the uninterrupted one took it.
A process that was faster than its kill isn't counted, and tried again. SIGINT ends the trainings, and records those that were done.
"""
import argparse, json, random, signal, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path
import pandas as pd, torch
from safetensors import safe_open
from fer_fastai.files import write_json
from fer_fastai.evaluation.records import surroundings
from fer_fastai.data.readers import read_faces
from PIL import Image

ROOT = Path(__file__).parents[1]
RECIPE = dict(
    arch='face_net', head='simple', pretrained=False, channels=1, size=24, resize=28, epochs=3, patience=0, batch_size=16,
    lr=.01, lr_find=True, mixup=.2, ema=.9, tta='flip')
IMAGES = 300

def command(name, *args):
    "A command of the package, started."
    program = Path(sys.executable).with_name(name)
    return subprocess.Popen([program, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)

def finish(process):
    "Wait for its end; an error where it failed."
    said = process.communicate()[1]
    if process.returncode: raise SystemExit(f'{process.args} failed ({process.returncode}): {said}')

def wait_for(process, begun):
    "Until there is a first trace of the work."
    while process.poll() is None and not begun(): time.sleep(.01)

def timed(process, begun):
    "Seconds from the first trace to the end."
    wait_for(process, begun)
    start = time.perf_counter()
    finish(process)
    return time.perf_counter() - start

def killed(process, begun, after):
    "Kill it so many seconds after the first trace; False where it was faster."
    wait_for(process, begun)
    try: process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode == -signal.SIGKILL

# --- trainings ---------------------------------------------------------------------------------------------------------------

def training(run, recipe): return command('fer_train', 'demo:280', '--out', run, '--recipe', recipe, '--resume')

def stage(run):
    "How far a training has come."
    if not (run/'config.json').exists(): return 'start'
    if (run/'metrics.json').exists(): return 'page'
    if not (run/'last.safetensors').exists(): return 'first epoch' if (run/'lr_finder.png').exists() else 'finder'
    with safe_open(run/'last.safetensors', framework='pt') as f: done = len(json.loads(f.metadata()['history']))
    return 'evaluation' if done == RECIPE['epochs'] else f'epoch {done + 1}'

def weights(path):
    with safe_open(path, framework='pt') as f: return {k: f.get_tensor(k) for k in f.keys()}, f.metadata()

def differences(a, b):
    "What differs between two finished runs, in words."
    found = []
    for name in ('last.safetensors', 'model.safetensors', 'predictions.safetensors'):
        (x, x_meta), (y, y_meta) = weights(a/name), weights(b/name)
        if x.keys() != y.keys() or not all(torch.equal(x[k], y[k]) for k in x): found.append(name)
        if name == 'model.safetensors' and x_meta != y_meta: found.append('metadata')
    history = [pd.read_csv(run/'history.csv').drop(columns='seconds') for run in (a, b)]
    if not history[0].equals(history[1]): found.append('history.csv')
    figures = [json.loads((run/'metrics.json').read_text()) | dict(seconds=0) for run in (a, b)]
    if figures[0] != figures[1]: found.append('metrics.json')
    names = [{str(p.relative_to(run)) for p in run.rglob('*')} for run in (a, b)]
    return found + sorted(names[0] ^ names[1])

def kill_trainings(folder, n, rng):
    recipe = folder/'recipe.json'
    write_json(recipe, RECIPE)
    whole = folder/'whole'
    seconds = timed(training(whole, recipe), (whole/'config.json').exists)
    stages, wrong, faster, after = Counter(), [], 0, []
    try:
        while sum(stages.values()) < n:
            i, run = sum(stages.values()), folder/f'killed_{sum(stages.values())}_{faster}'
            moment = rng.uniform(0, seconds)
            if not killed(training(run, recipe), (run/'config.json').exists, moment): faster += 1; continue
            at = stage(run)
            finish(training(run, recipe))
            found = differences(whole, run)
            stages[at] += 1
            after.append(round(moment, 2))
            if found: wrong.append(dict(stage=at, seconds=moment, differs=found))
            print(f'training {i + 1}/{n}: killed after {moment:.1f} s ({at}), {"equal" if not found else found}', flush=True)
    except KeyboardInterrupt: n = sum(stages.values())
    return dict(n=n, equal=n - len(wrong), stages=stages, faster_than_the_kill=faster, uninterrupted_seconds=round(seconds, 1), killed_after=after, wrong=wrong)

# --- tables ------------------------------------------------------------------------------------------------------------------

def table(images, path): return command('fer_predict', images, '--crop', 'never', '--batch', 4, '--csv', path)

def traces(path, before=()):
    "Files that the table's command has made beside it."
    return [p for p in path.parent.iterdir() if p.name not in before and p.is_file() and p.stat().st_size]

def kill_tables(folder, n, rng):
    images = folder/'images'
    images.mkdir()
    for i, p in enumerate(read_faces(f'demo:{IMAGES}', progress=False).pixels): Image.fromarray(p).save(images/f'{i:04}.png')
    (images/'0100.png').write_bytes(b'damaged')
    def place(name): (folder/name).mkdir(); return folder/name/'table.csv'
    whole = place('whole_table')
    process = table(images, whole)
    wait_for(process, lambda: traces(whole))
    start = time.perf_counter()
    process.communicate()                                          # the damaged image may show in its exit code
    seconds, code = time.perf_counter() - start, process.returncode
    equal, faster, wrong = 0, 0, []
    while equal + len(wrong) < n:
        path, moment = place(f'table_{equal}_{faster}_{len(wrong)}'), rng.uniform(0, seconds)
        if not killed(table(images, path), lambda: traces(path), moment): faster += 1; continue
        again = table(images, path)
        said = again.communicate()[1]
        found = [] if path.exists() and path.read_bytes() == whole.read_bytes() else ['rows']
        if again.returncode != code: found.append(f'exit code {again.returncode}, not {code}')
        if found: wrong.append(dict(seconds=moment, differs=found, said=said[-300:]))
        else: equal += 1
        print(f'table {equal + len(wrong)}/{n}: killed after {moment:.2f} s, {found or "equal"}', flush=True)
    return dict(n=n, equal=equal, images=IMAGES, faster_than_the_kill=faster, uninterrupted_seconds=round(seconds, 2), wrong=wrong)

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--trainings', type=int, default=50)
    parser.add_argument('--tables', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=ROOT/'results'/'kills.json')
    args = parser.parse_args()
    rng, result = random.Random(args.seed), dict(surroundings())
    with tempfile.TemporaryDirectory() as d:
        if args.trainings: result['trainings'] = kill_trainings(Path(d), args.trainings, rng)
        if args.tables: result['tables'] = kill_tables(Path(d), args.tables, rng)
    write_json(args.out, result)
    if any(result[k]['wrong'] for k in ('trainings', 'tables') if k in result): raise SystemExit('not all were equal')

if __name__ == '__main__': main()
