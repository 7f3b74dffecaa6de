"""How accuracy holds on faces that aren't as FER2013 has them: darkened, blurred, coarse, grainy, badly saved; or enlarged, found and cut out again.

    python benchmarks/spoilt.py data/fer2013.csv          # about ten minutes on two cores; writes results/spoilt.json

PublicTest, one view. `spoilt`: each face with faults as in training (data.degrade), drawn three times. `found`: enlarged, then through the detector
and the crop as any photo; a face that isn't found is an error. The shipped quick was trained with such faults, quick_scratch was not.
"""
import argparse
from pathlib import Path
import numpy as np, torch
from PIL import Image
from fer_fastai.core import progress
from fer_fastai.files import write_json
from fer_fastai.data.cropping import cut_faces
from fer_fastai.data.degrade import degraded
from fer_fastai.data.detection import FaceDetector
from fer_fastai.data.readers import read_faces
from fer_fastai.evaluation.metrics import evaluate
from fer_fastai.evaluation.records import surroundings
from fer_fastai.inference.predictor import Predictor

ROOT, DRAWS = Path(__file__).parents[1], 3

def spoilt(pixels, seed):
    "The same faces with faults, uint8 [n,h,w]."
    torch.manual_seed(seed)
    x = torch.from_numpy(np.asarray(pixels))[:, None].float() / 255
    return (degraded(x)[:, 0] * 255).round().byte().numpy()

def found_again(pixels, times, detector):
    "Crops of the faces enlarged so many times, and which of them were found."
    crops, found = [], []
    for p in progress(pixels):
        side = len(p) * times
        faces = cut_faces(np.asarray(Image.fromarray(p).resize((side, side), Image.Resampling.BICUBIC)), detector, 'largest', 'always', len(p))
        found.append(bool(faces))
        crops.append(faces[0][1] if faces else p)
    return np.stack(crops), np.array(found)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='FER2013, as for fer_train')
    args = parser.parse_args()
    part, detector = read_faces(args.source, progress=False).usage('PublicTest'), FaceDetector()
    always = np.ones(len(part), dtype=bool)
    sets = {'as they are': (part.pixels, always)} | {f'spoilt, {i}': (spoilt(part.pixels, i), always) for i in range(DRAWS)}
    sets |= {f'found, enlarged {k} times': found_again(part.pixels, k, detector) for k in (2, 4)}
    models = {'quick': None} | {m.stem: m for m in sorted((ROOT/'results/experiments/seeds').glob('quick_scratch_*.safetensors'))}
    rows = {}
    for name, model in models.items():
        predictor = Predictor(model, tta='none')
        rows[name] = {}
        for title, (pixels, found) in sets.items():
            p = predictor.probabilities(pixels)
            m, right = evaluate(p, part.labels, part.vocab), p.argmax(1) == part.labels
            rows[name][title] = dict(accuracy=float((right & found).mean()), calibration_error=m['calibration_error'], found=float(found.mean()))
            print(f'{name:18} {title:26} {rows[name][title]}', flush=True)
    write_json(ROOT/'results/spoilt.json', dict(n=len(part), usage='PublicTest', fingerprint=part.fingerprint, tta='none', rows=rows, **surroundings()))

if __name__ == '__main__': main()
