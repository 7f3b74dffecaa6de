"""Which network and which schedule learn most in equal minutes? For the recipe `quick_scratch`.

    python benchmarks/search.py data/fer2013.csv --minutes 2            # every candidate, in turn; writes results/search.json
    python benchmarks/search.py data/fer2013.csv --minutes 8 --only 'lean;wide'

Each candidate trains on 80 % of Training for as many steps as fit into the minutes, timed before as in all experiments.
Its one cycle spans them, however many epochs that makes; the seconds it took are recorded. The figures are those of
the averaged weights on the other 20 %, near-duplicates kept on one side. No test set is read.
"""
import argparse, json, time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from fer_fastai.core import seed_everything
from fer_fastai.files import write_json
from fastai.callback.core import Callback, CancelValidException
from fastai.callback.mixup import MixUp
from fer_fastai.models import architectures
from fer_fastai.data.augment import FaceInput
from fer_fastai.data.splits import with_validation
from fer_fastai.evaluation.metrics import evaluate
from fer_fastai.studies.trials import planned
from fer_fastai.training.callbacks import EMA, OneCycle
from fer_fastai.models.architectures import face_net
from fer_fastai.models.forward import predict
from fer_fastai.training.recipe import Recipe
from fer_fastai.data.readers import read_faces
from fer_fastai.training.setup import build_for, dls_for
from fer_fastai.evaluation.records import surroundings

ROOT = Path(__file__).parents[1]
NETS = dict(
    plain=((32, 'cc'), (64, 'cc'), (128, 'cr'), (256, 'cr')),
    lean=((32, 'c'), (64, 'cc'), (128, 'cr'), (256, 'cr')),
    wide=((32, 'c'), (80, 'cc'), (160, 'cr'), (320, 'cr')),
    deep=((32, 'c'), (64, 'cr'), (128, 'crr'), (192, 'crr')),
)
architectures.OWN |= {k: partial(face_net, stages=v) for k, v in NETS.items()}
BASE = Recipe('candidate', 'a candidate', arch='lean', channels=1, head='simple', pretrained=False, size=44, resize=48, batch_size=64, lr=.1, nesterov=True,
              momentum=(.9, .9), weight_decay=5e-4, decay_all=False, label_smoothing=.1, scale=.1, shift=.05, erase=.25, ema=.98, pct_start=.2)
CANDIDATES = {
    'plain': BASE.but(arch='plain'), 'lean': BASE, 'wide': BASE.but(arch='wide'), 'deep': BASE.but(arch='deep'),
    'lean, 40 px': BASE.but(size=40), 'lean, peak rate .3': BASE.but(lr=.3), 'lean, mixup': BASE.but(mixup=.2),
    'ResNet-18, 64 px': BASE.but(arch='resnet18', channels=3, size=64, resize=73, batch_size=32, lr=.0229, momentum=(.95, .85), weight_decay=1e-4, decay_all=True, nesterov=False),
}

class NoValidation(Callback):
    "Leaves validation out: the time is for training."
    def before_validate(self): raise CancelValidException

def measure(faces, recipe, minutes):
    "One candidate's figures."
    faces = with_validation(faces, recipe.valid_pct, recipe.seed)
    plan = planned(recipe, faces, minutes=minutes)
    seed_everything(plan.seed)
    dls = dls_for(plan, faces)
    learn = build_for(plan, dls)
    learn.model.to(dls.device)
    ema = EMA(learn.model, plan.ema)
    cycle = OneCycle(plan.lr, plan.epochs, 0, plan.pct_start, plan.div, plan.div_final, plan.momentum)
    start = time.time()
    with learn.no_bar(), learn.no_logging():
        learn.fit(plan.epochs, cbs=[cycle, NoValidation(), ema] + ([MixUp(plan.mixup)] if plan.mixup else []))
    seconds, seen = time.time() - start, plan.epochs * plan.steps * plan.batch_size
    valid, prep = dls.valid.items, FaceInput(recipe.size, recipe.resize, *recipe.stats)
    out = dict(parameters=sum(p.numel() for p in learn.model.parameters()), seconds=round(seconds, 1),
               steps=plan.epochs * plan.steps, faces_seen=seen, epochs=seen / len(dls.train_ds))
    for tta in ('none', 'flip'):
        m = evaluate(predict(ema.average.module.eval(), prep, valid.pixels, tta), valid.targets, faces.vocab)
        out[tta] = {k: m[k] for k in ('accuracy', 'macro_f1', 'loss', 'calibration_error')}
    return out

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('source', help='FER2013, in any shape that the commands take')
    parser.add_argument('--minutes', type=float, default=2, help='of training for each candidate')
    parser.add_argument('--only', default=';'.join(CANDIDATES), help='candidates, joined by ;')
    parser.add_argument('--out', default=ROOT/'results'/'search.json', type=Path)
    args = parser.parse_args()
    faces = read_faces(args.source).usage('Training')
    done = json.loads(args.out.read_text()) if args.out.exists() else dict(rows=[], data=faces.fingerprint)
    if done['data'] != faces.fingerprint: parser.error(f'{args.out} is of other faces; name another file (--out)')
    for name in args.only.split(';'):
        row = measure(faces, CANDIDATES[name], args.minutes)
        done['rows'].append(dict(name=name, minutes=args.minutes, **row, recipe=asdict(CANDIDATES[name]), stages=NETS.get(CANDIDATES[name].arch), **surroundings()))
        print(f"{name:34} {args.minutes:4} min  {row['epochs']:5.1f} epochs  {row['parameters'] / 1e6:5.2f} M  " + '  '.join(f"{t} {row[t]['accuracy']:.1%}" for t in ('none', 'flip')), flush=True)
        write_json(args.out, done)
