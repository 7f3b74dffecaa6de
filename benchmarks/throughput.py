"""How fast faces reach the network: four ways of feeding it, in turns, in one run, on the same model, size and augmentations.

    python benchmarks/throughput.py                     # everything, about an hour on two cores; writes results/throughput.json and a chart
    python benchmarks/throughput.py --only ways --sizes 64

(a) the paper's way: torchvision transforms on PIL images, a DataLoader with two workers, a plain loop in float32
(b) fastai's ordinary image path: ImageBlock, item and batch transforms, two workers, a Learner in float32
(c) this package: get_dls and build_learner, in the precision and memory format that it takes on this hardware
(d) the limit: the training step, or the forward pass, of (c) in plain PyTorch on a batch that is on the device already

The faces are drawn ones: what they show makes no difference to the speed. Ratios are the median of the rounds' ratios.
"""
import argparse, gc, json, resource, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np, pandas as pd
from fer_fastai.core import seed_everything
from fer_fastai.files import save_figure, write_json
import torch, torchvision
from fastai.callback.core import Callback, CancelFitException
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.vision.augment import RandomCrop, Resize, aug_transforms
from fastai.vision.core import imagenet_stats
from fastai.vision.data import ImageBlock
from fer_fastai.data.augment import FaceInput, random_views
from fer_fastai.data.faceset import FaceSet, load_faces, save_faces
from fer_fastai.data.splits import near_pairs
from fer_fastai.data.dataloaders import get_dls
from fer_fastai.learner import build_learner, fast_callbacks
from fer_fastai.data.readers import read_faces
from fer_fastai.evaluation.records import surroundings
from PIL import Image
from torchvision import transforms as T

ROOT = Path(__file__).parents[1]
WAYS = dict(a="the paper's way", b="fastai's image path", c='fer_fastai', d='the step alone')
BS, WARM = 32, 2
device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')

def many_faces(n, out=None, base=2000):
    "n faces: drawn ones, each seen anew from a little elsewhere; a fifth is for validation."
    drawn = read_faces(f'demo:{min(n, base)}', progress=False)
    pixels = np.empty((n, 48, 48), np.uint8) if out is None else np.lib.format.open_memmap(out, 'w+', np.uint8, (n, 48, 48))
    torch.manual_seed(0)
    look, source = FaceInput(48, 48, (0.,), (1 / 255,)), torch.from_numpy(drawn.pixels)[:, None]
    for i in range(0, n, 4096):
        x = source[torch.arange(i, min(i + 4096, n)) % len(source)]
        pixels[i:i + len(x)] = look(x, random_views(len(x), 1., rotate=20., scale=.2, shift=.1))[:, 0].round().to(torch.uint8)
    usage = np.where(np.arange(n) % 5 == 0, 'Validation', 'Training')
    return FaceSet(pixels, pd.DataFrame(dict(label=drawn.labels[np.arange(n) % len(drawn)], usage=usage, source='drawn')), drawn.vocab)

# --- the four ways -----------------------------------------------------------------------------------------------------------

class PaperSet(torch.utils.data.Dataset):
    def __init__(self, rows, size, resize, train):
        steps = [T.RandomCrop(size), T.RandomHorizontalFlip(), T.RandomRotation(10), T.ColorJitter(.2, .2)] if train else [T.CenterCrop(size)]
        self.rows, self.tfm = rows, T.Compose([T.Grayscale(3), T.Resize(resize), *steps, T.ToTensor(), T.Normalize(*imagenet_stats)])
        self.code = {v: i for i, v in enumerate(rows.faces.vocab)}
    def __len__(self): return len(self.rows)
    def __getitem__(self, i):
        row = self.rows[i]
        return self.tfm(Image.fromarray(row.pixels)), self.code[row.label]

def paper_loader(rows, size, resize, train=True):
    return torch.utils.data.DataLoader(PaperSet(rows, size, resize, train), batch_size=BS, shuffle=train, drop_last=train, num_workers=2, pin_memory=device.type == 'cuda')

def grey3(row): return np.repeat(row.pixels[..., None], 3, 2)
def label(row): return row.label

def fastai_dls(train, valid, size, resize):
    rows = [train[i] for i in range(len(train))] + [valid[i] for i in range(len(valid))]
    block = DataBlock((ImageBlock, CategoryBlock(vocab=list(train.faces.vocab), sort=False)), get_x=grey3, get_y=label, splitter=IndexSplitter(range(len(train), len(rows))),
        item_tfms=[Resize(resize), RandomCrop(size)],
        batch_tfms=[*aug_transforms(max_rotate=10, max_zoom=1., max_warp=0., max_lighting=.2, p_affine=1., p_lighting=1.), Normalize.from_stats(*imagenet_stats)])
    return block.dataloaders(rows, bs=BS, num_workers=2, device=device)

class Plain:
    "A plain PyTorch training step, in float32 or (fast) the precision and memory format that build_learner takes."
    def __init__(self, size, fast=True):
        self.model = torchvision.models.resnet18(num_classes=7).to(device)
        names = [type(c).__name__ for c in fast_callbacks(device, size)] if fast else []
        self.bf16, self.format = 'MixedPrecision' in names, torch.channels_last if 'ChannelsLast' in names else torch.contiguous_format
        self.model.to(memory_format=self.format)
        self.opt = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=.9, weight_decay=1e-4, fused=fast)
    def forward(self, x):
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16): return self.model(x).float()
    def step(self, x, y):
        loss = torch.nn.functional.cross_entropy(self.forward(x), y)
        self.opt.zero_grad(); loss.backward(); self.opt.step()
    def evaluate(self, batches):
        self.model.eval()
        with torch.inference_mode():
            for x, _ in batches: self.forward(x).softmax(1).cpu()
        self.model.train()

def sync():
    if device.type == 'cuda': torch.cuda.synchronize()

class Clock:
    "Counts images from the end of the warm-up on, for some seconds and batches."
    def __init__(self, seconds, at_least=WARM + 3): self.seconds, self.at_least, self.batches, self.n = seconds, at_least, 0, 0
    def over(self, n):
        self.batches += 1
        if self.batches == WARM: sync(); self.start = time.perf_counter()
        elif self.batches > WARM:
            self.n += n
            if time.perf_counter() - self.start < self.seconds or self.batches < self.at_least: return False
            sync(); self.elapsed = time.perf_counter() - self.start
            return True
    @property
    def rate(self): return self.n / self.elapsed

class StopAfter(Callback):
    def __init__(self, clock): self.clock = clock
    def after_batch(self):
        if self.training and self.clock.over(len(self.x)): raise CancelFitException

def forever(dl):
    while True: yield from dl

def on_device(b): return [t.as_subclass(torch.Tensor).to(device, non_blocking=True) for t in b]

def load(dl, seconds):
    clock = Clock(seconds)
    for b in forever(dl):
        if clock.over(len(on_device(b)[0])): return clock.rate

def train_plain(batches, plain, seconds):
    clock = Clock(seconds)
    for b in batches:
        plain.step(*b)
        if clock.over(len(b[0])): return clock.rate

def train_learner(learn, clock):
    with learn.no_bar(), learn.no_logging(): learn.fit(1000, 1e-3, cbs=StopAfter(clock))
    return clock.rate

def timed(f, n):
    sync(); start = time.perf_counter(); f(); sync()
    return n / (time.perf_counter() - start)

def ways(faces, size, rounds, loader_s, train_s, n_eval):
    "Images a second of each way: for the loader alone, training and evaluation, a list over the rounds."
    resize = round(size * 256 / 224)
    ours = get_dls(faces, size=size, bs=BS, device=device, say=None)
    rows, part = ours.train.items, ours.valid.items[:n_eval]
    theirs = fastai_dls(rows, part, size, resize)
    learners = [build_learner(d, pretrained=False, head='simple', metrics=[], fast=d is ours) for d in (theirs, ours)]
    for l in learners: l.model.to(device)
    paper, limit, fixed = Plain(size, False), Plain(size), on_device(ours.one_batch())
    many = torch.cat([fixed[0]] * (ours.valid.bs // BS))
    eval_dls = theirs.valid, ours.test_dl(part, with_labels=True)
    n = len(part)
    def predict(i):
        with learners[i].no_bar(), learners[i].no_logging(): learners[i].get_preds(dl=eval_dls[i])
    jobs = {
        'loader': dict(a=lambda: load(paper_loader(rows, size, resize), loader_s), b=lambda: load(theirs.train, loader_s), c=lambda: load(ours.train, loader_s)),
        'training': dict(a=lambda: train_plain(map(on_device, forever(paper_loader(rows, size, resize))), paper, train_s), b=lambda: train_learner(learners[0], Clock(train_s)),
                         c=lambda: train_learner(learners[1], Clock(train_s)), d=lambda: train_plain(iter(lambda: fixed, None), limit, train_s)),
        'evaluation': dict(a=lambda: timed(lambda: paper.evaluate(map(on_device, paper_loader(part, size, resize, False))), n), b=lambda: timed(lambda: predict(0), n),
                           c=lambda: timed(lambda: predict(1), n), d=lambda: timed(lambda: limit.evaluate(([many[:n - i], None] for i in range(0, n, len(many)))), n))}
    out = {job: {w: [] for w in jobs[job]} for job in jobs}
    for r in range(rounds):
        for job in jobs:
            for w in (list(jobs[job]) if r % 2 == 0 else list(jobs[job])[::-1]):
                seed_everything(r)
                out[job][w].append(round(jobs[job][w](), 1))
                gc.collect()
                print(f'{size} pixels, round {r + 1} of {rounds}, {job}, {WAYS[w]}: {out[job][w][-1]:.0f} images/s', file=sys.stderr, flush=True)
    return out

# --- precision and memory format ---------------------------------------------------------------------------------------------

def compute(size, rounds, compiled):
    "Images a second of the training step, for each precision and memory format."
    x, y = torch.randn(BS, 3, size, size, device=device), torch.randint(0, 7, (BS,), device=device)
    steps = {}
    for name, bf16, fmt in (('float32', False, torch.contiguous_format), ('float32, channels-last', False, torch.channels_last),
                            ('bfloat16', True, torch.contiguous_format), ('bfloat16, channels-last', True, torch.channels_last)):
        p = Plain(size)
        p.bf16, p.format = bf16, fmt
        p.model.to(memory_format=fmt)
        steps[name] = p.step, x.to(memory_format=fmt)
    if compiled:
        p = Plain(size)
        p.model = torch.compile(p.model)
        steps['torch.compile'] = p.step, x.to(memory_format=p.format)
    for step, xs in steps.values(): step(xs, y)
    out = {k: [] for k in steps}
    for _ in range(rounds):
        for k, (step, xs) in steps.items():
            times = 2 if size > 128 and device.type == 'cpu' else 6
            out[k].append(round(timed(lambda: [step(xs, y) for _ in range(times)], BS * times), 1))
    return out

# --- how cost grows ----------------------------------------------------------------------------------------------------------

def peak_mb():
    "Peak resident set in MB; a child's ru_maxrss would begin with its parent's."
    status = Path('/proc/self/status')
    if not status.exists(): return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return round(int(next(l for l in status.read_text().splitlines() if l.startswith('VmHWM')).split()[1]) / 1024)

def grow(folder, steps, search):
    "In a process of its own: start, look for duplicates, train some steps; with the peak resident set."
    start = time.perf_counter()
    faces = load_faces(folder)
    dls = get_dls(faces, size=64, bs=BS, device=device, say=None)
    dls.one_batch()
    row = dict(faces=len(faces), memory_mapped=isinstance(faces.pixels, np.memmap), start_s=round(time.perf_counter() - start, 2), loader=round(load(dls.train, 3)))
    learn = build_learner(dls, pretrained=False, head='simple', metrics=[])
    row |= dict(training=round(train_learner(learn, Clock(0, steps)), 1), steps=steps, peak_resident_mb=peak_mb())
    if search:
        start = time.perf_counter()
        near_pairs(faces.pixels)
        row['near_duplicates_s'] = round(time.perf_counter() - start, 1)
    return row

def growth(counts, steps, search_up_to):
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT/'runs' if (ROOT/'runs').is_dir() else None) as d:
        for n in counts:
            big = n > 200_000
            faces = many_faces(n, Path(d)/'drawn.npy' if big else None)
            save_faces(faces, Path(d)/'faces')
            del faces; gc.collect()
            (Path(d)/'drawn.npy').unlink(missing_ok=True)
            child = subprocess.run([sys.executable, __file__, '--grow', str(Path(d)/'faces'), '--steps', str(steps)] + ['--search'] * (n <= search_up_to), stdout=subprocess.PIPE, check=True)
            rows.append(json.loads(child.stdout))
            print(rows[-1], file=sys.stderr, flush=True)
            shutil.rmtree(Path(d)/'faces')
    return rows

# --- tables and chart --------------------------------------------------------------------------------------------------------

def ratio(rates, one, other): return statistics.median(x / y for x, y in zip(rates[one], rates[other]))

def table(result):
    "The ways as a table: median images a second, and what (c) is against the others."
    rows = []
    for size, jobs in result.get('ways', {}).items():
        for job, rates in jobs.items():
            row = {'': f'{job}, {size} px'} | {f'({w}) {WAYS[w]}': f'{statistics.median(v):,.0f}' for w, v in rates.items()}
            rows.append(row | {f'(c)/({w})': f"{ratio(rates, 'c', w):.2f}" for w in 'abd' if w in rates})
    return pd.DataFrame(rows).fillna('')

def draw(result, path):
    "A panel for each size and job, each with a scale of its own."
    import matplotlib.pyplot as plt
    jobs, colours = ('loader', 'training', 'evaluation'), ('#b9b9b9', '#e0b48a', '#2b6ca3', '#dddddd')
    fig, axes = plt.subplots(len(result['ways']), 3, figsize=(11, 1.7 * len(result['ways']) + .6), layout='constrained', squeeze=False)
    for row, (size, rates) in zip(axes, result['ways'].items()):
        for ax, job in zip(row, jobs):
            middle = [statistics.median(rates[job][w]) if w in rates[job] else 0 for w in WAYS]
            ax.barh(list(WAYS.values()), middle, color=colours)
            for y, v in enumerate(middle): ax.text(v, y, f' {v:,.0f}' if v else ' none', va='center', fontsize=8)
            ax.set_title(f"{'loader alone' if job == 'loader' else job}, {size} px", loc='left', fontsize=10)
            ax.set_xlim(0, 1.18 * max(middle))
            ax.invert_yaxis()
            ax.spines[['top', 'right']].set_visible(False)
            if job != 'loader': ax.set_yticklabels([])
    for ax in axes[-1]: ax.set_xlabel('images per second')
    save_figure(fig, path)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', choices=('ways', 'compute', 'growth'), action='append', help='a part; can be repeated (default: all)')
    p.add_argument('--sizes', type=int, nargs='+', default=[64, 224], metavar='PX')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--seconds', type=float, default=5., help='of each measurement of a loader; training takes twice that, four times above 128 pixels')
    p.add_argument('--counts', type=int, nargs='+', default=[1000, 10_000, 32_298, 100_000, 1_000_000], metavar='N', help='sizes of the sets for the growth table')
    p.add_argument('--search-up-to', type=int, default=1_000_000, metavar='N', help='look for near duplicates in sets up to this size (about eight minutes for a million)')
    p.add_argument('--steps', type=int, default=200, help='of training in the growth table')
    p.add_argument('--out', type=Path, default=ROOT/'results/throughput.json', help='what is not measured anew stays as it is in it')
    p.add_argument('--grow', help=argparse.SUPPRESS); p.add_argument('--search', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.grow: print(json.dumps(grow(args.grow, args.steps, args.search))); return
    parts = args.only or ('ways', 'compute', 'growth')
    result = json.loads(args.out.read_text()) if args.out.exists() else {}
    made = dict(surroundings(), threads=torch.get_num_threads(), batch_size=BS)
    if 'ways' in parts:
        faces = many_faces(32_298)
        result['ways'] = {str(s): ways(faces, s, args.rounds, args.seconds, args.seconds * (2 if s <= 128 else 4), 3589 if s <= 128 or device.type == 'cuda' else 512) for s in args.sizes}
        result['ways_made_with'] = made
        write_json(args.out, result)
    if 'compute' in parts:
        result['compute'] = {str(s): compute(s, args.rounds, s == min(args.sizes) and shutil.which('g++') is not None) for s in args.sizes}
        result['compute_made_with'] = made
        write_json(args.out, result)
    if 'growth' in parts:
        rows = {r['faces']: r for r in result.get('growth', [])}
        for r in growth(args.counts, args.steps, args.search_up_to): rows[r['faces']] = rows.get(r['faces'], {}) | r
        result['growth'], result['growth_made_with'] = [rows[n] for n in sorted(rows)], made
        write_json(args.out, result)
    print(table(result).to_string(index=False))
    for size, rates in result.get('compute', {}).items(): print(f'\ntraining step at {size} px, images/s:', ', '.join(f'{k} {statistics.median(v):.0f}' for k, v in rates.items()))
    if 'growth' in result: print('\n' + pd.DataFrame(result['growth']).to_string(index=False))
    if 'ways' in result: draw(result, args.out.with_suffix('.png'))

if __name__ == '__main__': main()
