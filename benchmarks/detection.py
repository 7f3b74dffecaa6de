"""Which faces are found: near and far networks alone, the rule before there were two, and the automatic choice.

    pip install scikit-image
    python benchmarks/detection.py data/fer2013.csv                  # a few minutes on two cores; writes results/detection.json

Two portraits with a free licence (scikit-image's astronaut, Matplotlib's Grace Hopper), mirrored and of several sizes, and FER2013's Training
faces are put on photographs without people: groups of thirty, one far face; FER2013's alone as faces with a turned head. They are cut close,
which is harder than a photo where hair and shoulders are seen; those on which the short-range network finds nobody when they fill the image
are left out of groups and far faces. Photos, textures, animals and drawings without a face, which come with scikit-image and scikit-learn,
count false boxes.
"""
import argparse, itertools, time
from pathlib import Path
import numpy as np
import skimage.data, sklearn.datasets
from matplotlib.cbook import get_sample_data
from PIL import Image
from fer_fastai.core import progress as bar
from fer_fastai.data.detection import FaceDetector, _distinct, _moved, _starts
from fer_fastai.data.readers import read_faces
from fer_fastai.evaluation.records import surroundings
from fer_fastai.evaluation.statistics import wilson
from fer_fastai.files import write_json
from fer_fastai.studies.baselines import head_pose, landmarks

BOX = .85                                                         # of a crop's side: the box of FER2013's faces
FACELESS = ('brick cell chelsea chessboard_GRAY chessboard_RGB clock_motion coffee coins color grass gravel horse '
            'hubble_deep_field ihc logo microaneurysms moon motorcycle_left page phantom retina rocket text').split()
SIDES = 24, 32, 40, 48, 64, 96, 128, 192                          # of a far face's box, pixels

def _image(image): return np.asarray(image.convert('RGB'))

YAWS = (0, 15), (15, 30), (30, 45), (45, 90)                      # degrees

def faceless():
    "Images without a face: name -> uint8 [h,w,3]."
    folder = Path(skimage.data.__file__).parent
    files = [next(folder.glob(f'{name}.*')) for name in FACELESS]
    shown = {f.stem: _image(Image.open(f)) for f in files}
    names = sklearn.datasets.load_sample_images()
    return shown | {Path(n).stem: im for n, im in zip(names.filenames, names.images)}

def portraits():
    "Portraits: (Pillow image, the left, top and side of the face's box)."
    hopper, woman = Image.open(get_sample_data('grace_hopper.jpg')), Image.fromarray(skimage.data.astronaut())
    pair = (hopper.convert('RGB'), (171, 146, 194)), (woman, (177, 82, 95))
    mirrored = [(im.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (im.width - x - s, y, s)) for im, (x, y, s) in pair]
    return [*pair, *mirrored]

def in_scene(background, size, people, places):
    "Portraits in an image: (portrait, width of its face) each at a place; uint8 [h,w,3] and the boxes as [n,4]."
    scene, boxes = Image.fromarray(background).resize(size, Image.Resampling.BICUBIC), []
    for ((im, (x, y, side)), width), (left, top) in zip(people, places):
        s = width / side
        scene.paste(im.resize((round(im.width * s), round(im.height * s)), Image.Resampling.LANCZOS), (int(left), int(top)))
        boxes.append((left + x * s, top + y * s, width, width))
    return _image(scene), boxes

def pasted(background, size, faces, side, places):
    "Faces in an image: uint8 [h,w,3], and the boxes as [n,4], left, top and side twice."
    scene = Image.fromarray(background).resize(size, Image.Resampling.BICUBIC)
    for face, (x, y) in zip(faces, places):
        scene.paste(Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC), (int(x), int(y)))
    edge = side * (1 - BOX) / 2
    return _image(scene), [(x + edge, y + edge, side * BOX, side * BOX) for x, y in places]

def judged(found, boxes):
    "How many boxes are found, and how many of those found are none: the centre within .3 of a side, .5 to 1.8 times as wide."
    left, hits = list(found), 0
    for x, y, w, h in boxes:
        near = [f for f in left if abs(f.x + f.width / 2 - x - w / 2) < .3 * w and abs(f.y + f.height / 2 - y - h / 2) < .3 * h
                and .5 * w < f.width < 1.8 * w]
        if near:
            left.remove(near[0])
            hits += 1
    return hits, len(left)

class Ways:
    "The ways to look."
    def __init__(self):
        d = self.detector = FaceDetector()
        self.of = dict(short=d.short.look, full=d._far, before=self.before, automatic=d)

    def before(self, image):
        "The rule before there were two networks: half windows always, a border where nobody was seen."
        look, side = self.detector.short.look, max(image.shape[:2]) // 2
        found = look(image)
        starts = itertools.product(*(_starts(n, side) for n in image.shape[:2])) if side >= 160 else ()
        for y, x in starts: found += [_moved(f, x, y) for f in look(image[y:y + side, x:x + side])]
        edge = side // 2
        framed = np.pad(image, ((edge, edge), (edge, edge), (0, 0)))
        return _distinct(found) or [_moved(f, -edge, -edge) for f in look(framed)]

    def row(self, scenes, **about):
        "Found, missed and false for each way, over scenes: (image, boxes)."
        rows = []
        scenes = list(scenes)
        counts = {name: np.zeros(2, int) for name in self.of}
        spent = dict.fromkeys(self.of, 0.)
        for (image, boxes), (name, look) in itertools.product(scenes, self.of.items()):
            start = time.process_time()
            found = look(image)
            spent[name] += time.process_time() - start
            counts[name] += judged(found, boxes)
        n = sum(len(b) for _, b in scenes)
        for name, (hits, false) in counts.items():
            shares = dict(found=hits / n, found_95=wilson(int(hits), n)) if n else {}
            rows.append(about | dict(way=name, images=len(scenes), faces=n, false=int(false), **shares,
                                     ms=1000 * spent[name] / len(scenes)))
        return rows

def poses(drawn, mesh, sure, network):
    """The head's pose from the detector's six points against the face mesh's: mean error in degrees, and that of yaw by the mesh's yaw, on
    the second half of the faces; the slopes were fitted on the first."""
    rows = []
    for face, pose, s in bar(list(zip(drawn, mesh, sure)), True):
        framed = np.pad(np.asarray(Image.fromarray(face).resize((200, 200), Image.Resampling.BICUBIC)), 60, mode='edge')
        found = network(np.repeat(framed[..., None], 3, 2)) if s > .8 else []
        if len(found) == 1: rows.append((*found[0].pose, *pose))
    half = np.array(rows)[len(rows) // 2:]
    error = np.abs(half[:, :3] - half[:, 3:])
    bands = [(low, high, (abs(half[:, 3]) >= low) & (abs(half[:, 3]) < high)) for low, high in YAWS]
    by_yaw = [dict(yaw=[low, high], n=int(at.sum()), error=error[at, 0].mean()) for low, high, at in bands]
    return dict(n=len(half), **dict(zip(('yaw', 'pitch', 'roll'), error.mean(0))), by_yaw=by_yaw)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('source')
    args = p.parse_args()
    faces = read_faces(args.source, progress=False)
    rng, ways, none = np.random.default_rng(0), Ways(), faceless()
    grounds = [none[k] for k in ('coffee', 'china', 'gravel', 'rocket', 'brick')]
    drawn = faces.usage('Training').pixels[rng.permutation(len(faces.usage('Training')))[:3000]]
    large = [np.asarray(Image.fromarray(q).resize((200, 200), Image.Resampling.BICUBIC)) for q in drawn]
    seen = [bool(ways.detector.short.look(np.repeat(q[..., None], 3, 2))) for q in bar(large, True)]
    good = drawn[np.array(seen)]

    def group(k):
        grid = [(x, y) for y in range(5) for x in range(6)]
        side = round(40 / BOX)
        places = [(x * 200 + rng.integers(20, 130), y * 185 + rng.integers(20, 120)) for x, y in grid]
        return pasted(grounds[k % 5], (1280, 960), good[rng.permutation(len(good))[:30]], side, places)

    def far(k, box):
        side = round(box / BOX)
        place = rng.integers(0, 1920 - side), rng.integers(0, 1080 - side)
        return pasted(grounds[k % 5], (1920, 1080), good[rng.integers(len(good))][None], side, [place])

    people = portraits()
    def party(k):
        places = [(x * 205 + rng.integers(0, 30), y * 180 + rng.integers(0, 20)) for y in range(5) for x in range(6)]
        who = [(people[rng.integers(4)], 40 * rng.uniform(.85, 1.2)) for _ in places]
        return in_scene(grounds[k % 5], (1280, 960), who, places)

    def someone(k, box):
        im, s = people[k % 4][0], box / people[k % 4][1][2]
        place = rng.integers(0, 1920 - round(im.width * s)), rng.integers(0, max(1, 1080 - round(im.height * s)))
        return in_scene(grounds[k % 5], (1920, 1080), [(people[k % 4], box)], [place])

    rows = ways.row((party(k) for k in range(20)), what='group of 30, 40 px', of='portraits')
    rows += ways.row((group(k) for k in range(20)), what='group of 30, 40 px', of='FER2013')
    for box in bar(SIDES, True):
        rows += ways.row((someone(k, box) for k in range(60)), what='one far face', box=box, of='portraits')
        rows += ways.row((far(k, box) for k in range(60)), what='one far face', box=box, of='FER2013')
    points, sure = landmarks(drawn)
    mesh = head_pose(points)
    yaw = np.abs(mesh[:, 0])
    for low, high in YAWS:
        which = np.flatnonzero((yaw >= low) & (yaw < high) & (sure > .5))[:200]
        turned = (pasted(grounds[k % 5], (640, 480), drawn[i][None], 200, [(220, 140)]) for k, i in enumerate(which))
        rows += ways.row(turned, what='turned head', yaw=[low, high])
    for times in (1, 3):
        enlarged = [_image(Image.fromarray(q).resize((q.shape[1] * times, q.shape[0] * times))) for q in none.values()]
        rows += ways.row(((q, []) for q in enlarged), what='no face', times=times)
    pose = poses(drawn, mesh, sure, ways.detector.short.look)
    said = dict(rows=rows, pose=pose, faceless=sorted(none), usable=float(np.mean(seen)))
    write_json(Path(__file__).parents[1]/'results/detection.json', said | dict(fingerprint=faces.fingerprint) | surroundings())

if __name__ == '__main__': main()
