"""Whose face is it? The package's tracker before and now, and those of a library, on films whose people are known.

    pip install trackers                                     # ByteTrack (Zhang et al. 2022, arXiv:2110.06864), OC-SORT; without it: not run
    python benchmarks/tracking.py data/fer2013.csv           # about three minutes; writes results/tracking.json

A film is a list of frames; a frame has the boxes that a detector would give (a few per cent off, some faces missed) and the crops in them:
Training faces of FER2013, each standing for a person, moved, turned, lit and blurred a little in each frame. Detection itself is left out.

IDF1      share of the boxes that the best pairing of numbers with people explains (Ristani et al. 2016, arXiv:1609.01775)
switches  how often a person's number changes from one sight to the next
numbers   given in all, for each person
merged    numbers that two people got
"""
import argparse, importlib.metadata, itertools, math, time
from collections import defaultdict
from pathlib import Path
import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment
from fer_fastai.core import progress
from fer_fastai.files import write_json
from fer_fastai.data.detection import Face
from fer_fastai.data.readers import read_faces
from fer_fastai.evaluation.records import surroundings
from fer_fastai.inference.tracking import Track, Tracker, appearance

FPS, SIDE, DRAWS = 25, 60, 20
WIDTH, HEIGHT = 1280, 360

def sight(face, rng):
    "A face as another frame shows it: moved by a pixel or two, turned, lit, blurred."
    im = Image.fromarray(face).rotate(rng.normal(0, 3), Image.Resampling.BILINEAR, translate=tuple(rng.normal(0, 1, 2)))
    if rng.random() < .3: im = im.resize((24, 24), Image.Resampling.BOX).resize((48, 48), Image.Resampling.BICUBIC)
    a = np.asarray(im, dtype=float) * rng.uniform(.8, 1.2) + rng.normal(0, 4, (48, 48))
    return a.clip(0, 255).astype(np.uint8)

# Where people are: functions of the seconds that give (x, y) by person, or leave one out
def crossing(rng, hidden=False):
    speed, gap = rng.uniform(1, 5) * SIDE, rng.uniform(-.15, .15) * SIDE
    half = (WIDTH - 200) / 2
    def at(t):
        places = {0: (100 + speed * t, 180), 1: (WIDTH - 100 - speed * t, 180 + gap)}
        if hidden and abs(places[0][0] - places[1][0]) < .8 * SIDE: del places[1]
        return places
    return at, 2 * half / speed

def away(seconds):
    def make(rng):
        x, back = rng.uniform(200, 1000), rng.uniform(200, 1000)
        return (lambda t: {0: (x, 180)} if t < 2 else {0: (back, 180)} if t > 2 + seconds else {}), 4 + seconds
    return make

def another(seconds):
    "One leaves, and another person takes the same seat."
    def make(rng):
        x = rng.uniform(200, 1000)
        return (lambda t: {0: (x, 180)} if t < 2 else {1: (x, 180)} if t > 2 + seconds else {}), 4 + seconds
    return make

def crowd(rng, people=6):
    phase, pace = rng.uniform(0, 6.28, (people, 2)), rng.uniform(.2, .8, (people, 2))
    def at(t):
        p = np.sin(phase + pace * t)
        return {k: (WIDTH / 2 + 500 * p[k, 0], HEIGHT / 2 + 120 * p[k, 1]) for k in range(people)}
    return at, 12

SCENES = {
    'two cross': crossing, 'two cross, one behind the other': lambda rng: crossing(rng, True), 'six wander': crowd,
    **{f'away for {s} s, back elsewhere': away(s) for s in (1, 3, 8)}, **{f'another person after {s} s': another(s) for s in (1, 3, 8)}}

def film(scene, faces, rng):
    "Frames of (seconds, [(person, Face, crop)])."
    at, seconds = SCENES[scene](rng)
    people = rng.choice(len(faces), 6, replace=False)
    frames = []
    for t in np.arange(0, seconds, 1 / FPS):
        seen = []
        for who, (x, y) in at(t).items():
            if rng.random() < .1: continue                                       # missed by the detector
            side = SIDE * rng.normal(1, .03)
            x, y = x + rng.normal(0, .03 * SIDE), y + rng.normal(0, .03 * SIDE)
            face = Face(round(x - side / 2), round(y - side / 2), round(side), round(side), .9, None)
            seen.append((who, face, sight(faces[people[who]], rng)))
        rng.shuffle(seen)
        frames.append((float(t), seen))
    return frames

class Before:
    "The tracker as it was: position, size and appearance for two seconds, then a new number."
    def __init__(self): self.tracks, self.count = [], itertools.count(1)

    def cost(self, track, t, centre, side, look):
        distance = abs(track.ahead(t) - centre) / max(track.side, side) / (1 + t - track.seen)
        return distance + .5 * abs(math.log(side / track.side)) + .5 * (1 - float(track.look @ look))

    def __call__(self, found, t):
        self.tracks = [k for k in self.tracks if t - k.seen <= 2]
        new = [(complex(f.x + f.width / 2, f.y + f.height / 2), max(f.width, f.height), appearance(c)) for f, c in found]
        cost = np.array([[self.cost(k, t, *n) for n in new] for k in self.tracks]).reshape(len(self.tracks), len(new))
        mine = {j: self.tracks[i] for i, j in zip(*linear_sum_assignment(cost)) if cost[i, j] < 1.25}
        out = [mine.get(j) or Track(next(self.count)) for j in range(len(new))]
        for k, n in zip(out, new): k.move(*n, t)
        self.tracks += [k for k in out if k not in self.tracks]
        return out

def ours(kind):
    def run(frames):
        tracker = kind()
        return [[k.id for k in tracker([(f, c) for _, f, c in seen], t)] for t, seen in frames]
    return run

def library(name, seconds):
    def run(frames):
        import supervision as sv, trackers
        tracker = getattr(trackers, name)(frame_rate=FPS, lost_track_buffer=round(seconds * FPS), minimum_consecutive_frames=1)
        said = []
        for _, seen in frames:
            boxes = np.array([(f.x, f.y, f.x + f.width, f.y + f.height) for _, f, _ in seen], dtype=float).reshape(-1, 4)
            found = tracker.update(sv.Detections(
                boxes, confidence=np.full(len(boxes), .9), class_id=np.zeros(len(boxes), dtype=int)))
            number = {tuple(np.round(b)): k for b, k in zip(found.xyxy, found.tracker_id)}
            said.append([number.get(tuple(np.round(b)), -1) for b in boxes])      # -1: it gives this one no number
        return said
    return run

def judged(frames, said):
    "IDF1, switches, numbers for each person, merged, of one film."
    both, switches, last, mine = defaultdict(int), 0, {}, defaultdict(set)
    total = named = 0
    for (_, seen), numbers in zip(frames, said):
        for (who, *_), k in zip(seen, numbers):
            total += 1
            if k < 0: continue
            named += 1
            both[who, k] += 1
            mine[k].add(who)
            switches += last.get(who, k) != k
            last[who] = k
    people, ks = sorted({w for w, _ in both}), sorted({k for _, k in both})
    table = np.array([[both[w, k] for k in ks] for w in people])
    hit = table[linear_sum_assignment(-table)].sum()
    return dict(idf1=2 * hit / (total + named), switches=switches, numbers=len(ks) / len(people), merged=sum(len(s) > 1 for s in mine.values()))

def alike(faces, rng, n=2000):
    "Correlations of appearance: of two sights of one person, and of two people; quantiles."
    pairs = [rng.choice(len(faces), 2, replace=False) for _ in range(n)]
    look = lambda i: appearance(sight(faces[i], rng))
    same, other = ([float(look(a) @ look(b)) for a, b in p] for p in ([(a, a) for a, _ in pairs], pairs))
    at = (1, 5, 50, 95, 99)
    return {name: dict(zip(map(str, at), np.percentile(v, at).round(3).tolist())) for name, v in dict(one_person=same, two_people=other).items()}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('source', help='FER2013, as for fer_train')
    p.add_argument('--draws', type=int, default=DRAWS)
    args = p.parse_args()
    faces = read_faces(args.source, progress=False).usage('Training').pixels[:600]
    trackers = {'this package, before': ours(Before), 'this package': ours(Tracker)}
    try:
        version = importlib.metadata.version('trackers')
        trackers |= {f'{name}, trackers {version}, {s} s': library(f'{name}Tracker', s) for name in ('ByteTrack', 'OCSORT') for s in (2, 30)}
    except importlib.metadata.PackageNotFoundError: print("the library's: not run; pip install trackers")
    rows = {}
    for scene in progress(list(SCENES)):
        films = [film(scene, faces, np.random.default_rng(i)) for i in range(args.draws)]
        rows[scene] = {}
        for name, run in trackers.items():
            begin = time.perf_counter()
            each = [judged(f, run(f)) for f in films]
            ms = 1000 * (time.perf_counter() - begin) / sum(len(f) for f in films)
            rows[scene][name] = {k: round(float(np.mean([e[k] for e in each])), 3) for k in each[0]} | dict(ms_per_frame=round(ms, 2))
            print(f'{scene:34} {name:50} {rows[scene][name]}')
    record = dict(films=args.draws, correlation=alike(faces, np.random.default_rng(0)), rows=rows, **surroundings())
    print(record['correlation'])
    write_json(Path(__file__).parents[1]/'results/tracking.json', record)

if __name__ == '__main__': main()
