"""Which of two taught models ships? quick and taught_lite on the validation faces that neither has seen; nothing is looked at that is reported.

    python benchmarks/students.py data/fer2013.csv          # two minutes; writes results/students.json

Both kept faces of Training aside with seed 0: quick a twentieth, taught_lite a tenth, which holds that twentieth. One view each, and the mirrored
one, too, with a temperature fitted on these faces.
"""
import argparse
from pathlib import Path
import numpy as np
from fer_fastai.core import FerError
from fer_fastai.files import write_json
from fer_fastai.data.readers import read_faces
from fer_fastai.data.splits import with_validation
from fer_fastai.evaluation.calibration import best_temperature
from fer_fastai.evaluation.metrics import evaluate
from fer_fastai.evaluation.records import surroundings
from fer_fastai.evaluation.statistics import mcnemar
from fer_fastai.models.files import load_model
from fer_fastai.models.forward import face_input, predict
from fer_fastai.models.spec import tempered

ROOT = Path(__file__).parents[1]
MODELS = dict(quick='quick', taught_lite=ROOT/'results/experiments/taught/taught_lite_0.safetensors')
VIEWS = 'none', 'flip'

def kept(faces, share):
    "Which faces a training with seed 0 keeps aside."
    return (with_validation(faces, share, 0).table.usage == 'Validation').to_numpy()

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='FER2013, as for fer_train')
    faces = read_faces(parser.parse_args().source, progress=False)
    few, more = kept(faces, .05), kept(faces, .1)
    if (few & ~more).any(): raise FerError('the two validation sets are not one in the other')
    part, rows, right = faces[np.flatnonzero(few)], [], {}
    for name, path in MODELS.items():
        model, spec = load_model(path)
        for tta in VIEWS:
            p = predict(model, face_input(spec), part.pixels, tta)
            p = tempered(p, best_temperature(p, part.labels))
            right[name, tta] = p.argmax(1) == part.labels
            m = evaluate(p, part.labels, part.vocab)
            rows.append(dict(model=name, tta=tta) | {k: m[k] for k in ('n', 'accuracy', 'accuracy_95', 'macro_f1', 'loss')})
            print(rows[-1], flush=True)
    pairs = {tta: mcnemar(*(right[name, tta] for name in MODELS)) for tta in VIEWS}
    write_json(ROOT/'results/students.json', dict(rows=rows, mcnemar=pairs, fingerprint=faces.fingerprint, **surroundings()))

if __name__ == '__main__': main()
