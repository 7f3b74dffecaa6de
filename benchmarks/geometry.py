"""How a face is cut out: the margin around the detector's box, and how far the crop lies above it, against accuracy.

    python benchmarks/geometry.py data/fer2013.csv results/experiments        # some minutes on two cores; writes results/geometry.json

FER2013's faces, enlarged four times, are found by the detector and cut out again, then read by the recorded seeds of quick_scratch, one view, each
on the validation faces of its own split, which it has not learned from. So the choice touches no test set; PublicTest is measured with what
was chosen before, and with the crop as FER2013 has it.
"""
import argparse, itertools, json
from pathlib import Path
import numpy as np
from peers import enlarged
from fer_fastai.data.cropping import crop_face
from fer_fastai.data.detection import FaceDetector
from fer_fastai.data.readers import read_faces
from fer_fastai.data.splits import with_validation
from fer_fastai.evaluation.records import span, surroundings
from fer_fastai.evaluation.statistics import wilson
from fer_fastai.files import write_json
from fer_fastai.models.files import load_model
from fer_fastai.models.forward import face_input, predict

MARGINS, ABOVE = (.1, .15, .2, .25, .3), (0., .04, .07, .1)
BEFORE = .2, 0.                                                   # what the package did until this was measured

def found(pixels, detector):
    "The enlarged faces, and the largest box on each, None where there is none."
    large = [enlarged(p) for p in pixels]
    return large, [next(iter(detector(p)), None) for p in large]

def right(model, spec, part, large, boxes, margin, above, tta='none'):
    "Which faces are read rightly; one that isn't found is an error."
    there = np.array([b is not None for b in boxes])
    crops = np.stack([crop_face(p, b, margin=margin, above=above) for p, b in zip(large, boxes) if b is not None])
    out = np.zeros(len(part), bool)
    out[there] = predict(model, face_input(spec), crops, tta).argmax(1) == part.labels[there]
    return out

def row(rights, **about):
    "Accuracy over all faces of all seeds, each of which has validation faces of its own."
    all_of_them = np.concatenate(rights)
    k, n = int(all_of_them.sum()), len(all_of_them)
    return about | dict(n=n, accuracy=k / n, accuracy_95=wilson(k, n))

def test_row(rights, **about):
    "Mean accuracy over the seeds, on the same faces."
    mean = np.mean(rights, 0)
    return about | dict(n=len(mean), accuracy=float(mean.mean()), accuracy_95=span(mean))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('source')
    p.add_argument('models', type=Path, help='the folder with seeds/quick_scratch_0.safetensors and its record')
    args = p.parse_args()
    faces, detector = read_faces(args.source, progress=False), FaceDetector()
    files = sorted((args.models/'seeds').glob('quick_scratch_*.safetensors'))
    kept, tests = [], []
    test = faces.usage('PublicTest')
    test_found = found(test.pixels, detector)
    for f in files:
        model, spec = load_model(f)
        recipe = json.loads(f.with_suffix('.json').read_text())['recipe']
        part = with_validation(faces, recipe['valid_pct'], recipe['seed']).usage('Validation')
        kept.append((model, spec, part, *found(part.pixels, detector)))
    grid = [row([right(*k, m, a) for k in kept], margin=m, above=a) for m, a in itertools.product(MARGINS, ABOVE)]
    crops = row([predict(m, face_input(s), part.pixels).argmax(1) == part.labels for m, s, part, *_ in kept])
    best = max(grid, key=lambda r: r['accuracy'])
    for name, (m, a) in dict(before=BEFORE, chosen=(best['margin'], best['above'])).items():
        for tta in ('none', 'ten'):
            rights = [right(k[0], k[1], test, *test_found, m, a, tta) for k in kept]
            tests.append(test_row(rights, crop=name, margin=m, above=a, views=tta))
    for tta in ('none', 'ten'):
        rights = [predict(k[0], face_input(k[1]), test.pixels, tta).argmax(1) == test.labels for k in kept]
        tests.append(test_row(rights, crop='as FER2013 has it', views=tta))
    said = dict(validation=grid, validation_crops=crops, chosen=best, PublicTest=tests, models=[f.stem for f in files])
    write_json(Path(__file__).parents[1]/'results/geometry.json', said | dict(fingerprint=faces.fingerprint) | surroundings())

if __name__ == '__main__': main()
