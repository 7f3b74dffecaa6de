"""Put a trained model into the package, in one go: weights in half precision, ONNX in 32 and in 8 bits, and their records, checked on real faces.

    python .ci/ship.py runs/quick quick data/fer2013.csv       # a finished run
    python .ci/ship.py quick quick data/fer2013.csv            # the packaged weights again: ONNX files and what is measured
    python .ci/ship.py runs/plus quick_plus data/fer2013.csv --votes data/fer2013new.csv      # one for FER+'s labels

Writes fer_fastai/weights/NAME.safetensors, NAME.onnx, NAME_int8.onnx and results/NAME.json (of a run), NAME_shipped.json, NAME_int8.json;
then the model card is made from the records, and goes into the metadata of all packaged files.
"""
import argparse, shutil, subprocess, sys, tempfile
from pathlib import Path
from cards import CARD, renew, with_card
from fer_fastai.core import FerError
from fer_fastai.files import write_json
from fer_fastai.evaluation.metrics import evaluate
from fer_fastai.inference.onnx import to_onnx
from fer_fastai.inference.predictor import Predictor
from fer_fastai.models.files import load_model, save_model
from fer_fastai.data.readers import read_faces
from fer_fastai.data.votes import ferplus
from fer_fastai.models.spec import temperature_of
from fer_fastai.evaluation.records import record

ROOT = Path(__file__).parents[1]

def measured(path, faces, source, tta, usage='PublicTest'):
    "What `fer_eval --json` writes of a model file."
    predictor, part = Predictor(path, tta), faces.usage(usage)
    figures = evaluate(predictor.probabilities(part.pixels), part.labels, part.vocab)
    return dict(usage=usage, source=source, fingerprint=part.fingerprint, model=predictor.spec.get('recipe'), tta=predictor.tta, **figures)

def made_card():
    "The model card, from the records as they are now."
    subprocess.run([sys.executable, '-m', 'nbconvert', '--to', 'notebook', '--execute', '--inplace', '--log-level=ERROR', 'nbs/model_card.ipynb'], cwd=ROOT, check=True)
    subprocess.run([Path(sys.executable).with_name('nbdev_clean'), '--fname', 'nbs/model_card.ipynb'], cwd=ROOT, check=True)
    subprocess.run([sys.executable, '.ci/readme.py'], cwd=ROOT, check=True)

def ship(run, name, source, out, votes=None, tta=None):
    "The three files and their records; returns the files' names."
    models, results, faces = out/'fer_fastai/weights', out/'results', read_faces(source, votes=votes, progress=sys.stdout.isatty())
    if votes: faces = ferplus(faces)
    weights, whole, eight = (models/f'{name}{end}' for end in ('.safetensors', '.onnx', '_int8.onnx'))
    model, spec = load_model(run)
    if tta: spec |= dict(tta=tta, temperature=temperature_of(spec, tta))
    if (Path(run)/'metrics.json').exists(): record(run, results/f'{name}.json')
    save_model(model, weights, spec, half=True)
    to_onnx(weights, whole, faces)
    own = spec.get('tta', 'none')
    ways = sorted({'none', 'ten', own}, key=lambda t: (t == own, t == 'none'))    # the last one is the file's own
    write_json(results/f'{name}_int8.json', {tta: to_onnx(weights, eight, faces, int8=True, tta=tta) for tta in ways})
    write_json(results/f'{name}_shipped.json', {t: measured(whole, faces, source, t) for t in ways})
    return [f.relative_to(out) for f in (weights, whole, eight)]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('run', help="a finished run folder, or 'quick' for the packaged weights")
    p.add_argument('name', help='what the model is called in the package')
    p.add_argument('source', help='FER2013, as for fer_train')
    p.add_argument('--votes', help="fer2013new.csv: measure on FER+'s labels")
    p.add_argument('--tta', help="other default views than the run's")
    p.add_argument('--out', type=Path, default=ROOT, help='another folder than the repository, to try it out; the card stays as it is')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as d:                           # all of it, or nothing
        try: files = ship(args.run, args.name, args.source, Path(d), args.votes, args.tta)
        except FerError as e: sys.exit(f'{args.run} was not shipped: {e}')
        shutil.copytree(d, args.out, dirs_exist_ok=True)
    if args.out == ROOT:
        made_card()
        renew()                                                        # the other models' files hold it, too
    for f in files:
        if args.out != ROOT: with_card(args.out/f, CARD.read_text(encoding='utf-8'))
        print(f'{f}: {(args.out/f).stat().st_size / 2**20:.2f} MB')

if __name__ == '__main__': main()
