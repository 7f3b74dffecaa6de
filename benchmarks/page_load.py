"""What the web page meets: a hundred people at once, one image from many, Grad-CAM, attacks in between, an end by SIGTERM.

    python benchmarks/page_load.py                      # five minutes on two cores; writes results/page_load.json
    python benchmarks/page_load.py --seconds 20 --out /tmp/page_load.json

The page runs as a process of its own with an empty temporary folder, on the loopback interface alone. Each answer is compared
with the one that a single `Page` gives in this process. Beside the page's folder lies an image (the canary) that the
attacks name: it must neither be shown nor touched.
"""
import argparse, base64, io, itertools, json, os, re, secrets, signal, socket, subprocess, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path
import matplotlib.cbook as cbook, numpy as np, requests
from PIL import Image

META = dict(meta=dict(_type='gradio.FileData'))
PHOTO, IS_FACE, HEAT, FILES = range(4)               # the page's functions, in the order in which create_app makes them
SERVE = 'import sys; from fer_fastai.inference.app import create_app, launch; launch(create_app(), port=int(sys.argv[1]))'

def images():
    "A portrait, two people, none; as files."
    from fer_fastai.images import read_image
    with cbook.get_sample_data('grace_hopper.jpg') as f: photo = read_image(f)
    drawn = dict(one=photo, two=np.concatenate([photo, photo[:, ::-1]], 1), none=np.full((480, 640, 3), 120, np.uint8))
    def jpeg(a):
        f = io.BytesIO()
        Image.fromarray(a).save(f, 'jpeg', quality=90)
        return f.getvalue()
    return {k: jpeg(a) for k, a in drawn.items()}

class Asker:
    "One person at the page."
    def __init__(self, at): self.at, self.web, self.session = at, requests.Session(), secrets.token_hex(6)

    def send(self, *files):
        r = self.web.post(f'{self.at}/gradio_api/upload', files=[('files', f) for f in files], timeout=120)
        return r.json() if r.ok else [r.text] * len(files)

    def ask(self, fn, *data, session=None):
        "The last message that the queue has for it."
        session = session or secrets.token_hex(6)
        body = dict(data=data, fn_index=fn, session_hash=session)
        r = self.web.post(f'{self.at}/gradio_api/queue/join', json=body, timeout=120)
        if not r.ok: return dict(success=False, output=r.text)
        at = f'{self.at}/gradio_api/queue/data'
        with self.web.get(at, params=dict(session_hash=session), stream=True, timeout=300) as r:
            said = [json.loads(l[6:]) for l in r.iter_lines() if l.startswith(b'data: ')]
        return next((m for m in said if m['msg'] == 'process_completed'), dict(success=False, output=said))

def same(a, b):
    "The same words and bars, and images with no pixel further off than JPEG takes it."
    uri = r'data:image/jpeg;base64,([\w+/=]+)'
    if re.sub(uri, '', a) != re.sub(uri, '', b): return False
    def pixels(s): return np.asarray(Image.open(io.BytesIO(base64.b64decode(s)))).astype(int)
    pairs = zip(re.findall(uri, a), re.findall(uri, b))
    return all(x == y or np.abs(pixels(x) - pixels(y)).max() <= 16 for x, y in pairs)

def expected(files):
    "What one page, asked by nobody else, says of each image, for each choice."
    from fer_fastai.inference.page import Page, read_upload
    from fer_fastai.inference.predictor import Predictor
    web = Page(Predictor())
    looks = {k: web.look(read_upload(io.BytesIO(data))) for k, data in files.items()}
    choices = itertools.product(looks, (False, True), (False, True))
    return {(k, face, heat): web.answer(looks[k], face, heat) for k, face, heat in choices}

def one_image(who, rng, files, want, canary):
    kind, face, heat = rng.choice(list(files)), bool(rng.random() < .2), bool(rng.random() < .7)
    (path,) = who.send(('same.jpg', files[kind]))
    if rng.random() < .3: who.session = secrets.token_hex(6)                     # the page is opened anew
    said = who.ask(PHOTO, dict(path=path) | META, face, heat, session=who.session)
    if not (said['success'] and same(said['output']['data'][2], want[kind, face, heat])): return False
    said = who.ask(HEAT, None, face, not heat, session=who.session)          # ticked later, without the image
    return said['success'] and same(said['output']['data'][0], want[kind, face, not heat])

def many_images(who, rng, files, want, canary):
    one = files['one']
    paths = who.send(('=1+1.jpg', one), ('same.jpg', one), ('same.jpg', one), ('none.jpg', files['none']), ('a.jpg', b'hello'))
    said = who.ask(FILES, [dict(path=p) | META for p in paths])
    if not said['success']: return False
    table = said['output']['data'][1]
    rows = base64.b64decode(table.partition('base64,')[2].partition('"')[0]).decode().splitlines()
    alike = len({r.partition(',')[2] for r in rows[1:4]}) == 1
    counts = '3 ok, 1 no face, 1 unreadable' in table and len(rows) == 6
    return counts and alike and rows[1].startswith("'=1+1.jpg,ok")

def attack(who, rng, files, want, canary):
    around = f'{tempfile.gettempdir()}/gradio/../{canary}'
    path = rng.choice([str(canary), f'file://{canary}', around, f'/gradio_api/file={canary}'])
    payload = dict(path=path) | (META if rng.random() < .5 else {})
    said = who.ask(PHOTO, payload, True, False) if rng.random() < .5 else who.ask(FILES, [payload])
    told = str(said)
    refused = not said['success'] or 'did not arrive' in told or '1 unreadable' in told
    return refused and 'fer-photo' not in told and '1 ok' not in told

def stranger(who, rng, files, want, canary):
    evil = dict(Host='evil.example:7860', Origin='http://evil.example:7860')
    body = dict(data=[None, False, False], fn_index=PHOTO, session_hash='x')
    join = who.web.post(f'{who.at}/gradio_api/queue/join', json=body, headers=evil, timeout=120)
    file = who.web.get(f'{who.at}/gradio_api/file={canary}', timeout=120)
    return (join.status_code, file.status_code) == (400, 404)

def person(at, seed, until, tell, *given):
    who, rng = Asker(at), np.random.default_rng(seed)
    while time.monotonic() < until:
        what = rng.choice([one_image, many_images, attack, stranger], p=[.6, .15, .15, .1])
        start = time.monotonic()
        try: right = what(who, rng, *given)
        except Exception as e: right = f'{type(e).__name__}: {e}'[:200]
        tell(what.__name__, right, time.monotonic() - start)

def rss(pid): return int(next(l for l in open(f'/proc/{pid}/status') if l.startswith('VmRSS')).split()[1]) / 1024

def start_page(tmp, log):
    "The page's process and its address."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    env = os.environ | dict(TMPDIR=str(tmp), ORT_DISABLE_TELEMETRY='1')
    serve = [sys.executable, '-c', SERVE, str(port)]
    page = subprocess.Popen(serve, env=env, stdout=subprocess.PIPE, stderr=log, text=True)         # a full pipe would stop it
    line = page.stdout.readline()
    if 'The page is at' not in line: sys.exit('the page did not start; try fer_app')
    return page, f'http://127.0.0.1:{port}'

def load(page, at, given, people, seconds):
    "Counts, the slowest and median answers, and the page's memory, MB a second."
    counts, wrong, slow, memory, lock = Counter(), [], [], [], threading.Lock()
    def tell(what, right, took):
        with lock:
            counts[what] += 1; slow.append(took)
            if not right or isinstance(right, str): wrong.append(f'{what}: {right}')
    until = time.monotonic() + seconds
    crew = [threading.Thread(target=person, args=(at, i, until, tell, *given)) for i in range(people)]
    for t in crew: t.start()
    while any(t.is_alive() for t in crew):
        memory.append(round(rss(page.pid)))
        time.sleep(1)
    return counts, wrong, sorted(slow), memory

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=300)
    parser.add_argument('--people', type=int, default=100)
    parser.add_argument('--out', default=Path(__file__).parents[1]/'results/page_load.json')
    args = parser.parse_args()
    from fer_fastai.files import write_json
    from fer_fastai.evaluation.records import surroundings
    files = images()
    want = expected(files)
    with tempfile.TemporaryDirectory() as d, tempfile.TemporaryFile('w+') as log:
        tmp, canary = Path(d)/'tmp', Path(d)/'canary.jpg'
        tmp.mkdir(); canary.write_bytes(files['one']); was = canary.stat()
        page, at = start_page(tmp, log)
        try:
            one_image(Asker(at), np.random.default_rng(0), {'one': files['one']}, want, canary)        # loads torch
            at_start = {p for p in tmp.rglob('*')}
            counts, wrong, slow, memory = load(page, at, (files, want, canary), args.people, args.seconds)
            Asker(at).send(*((f'{i}.jpg', bytes(5 * 10**6)) for i in range(20)))             # nobody asks for them
            waiting = [str(p.relative_to(tmp)) for p in tmp.rglob('*') if p not in at_start]
        finally:
            page.send_signal(signal.SIGTERM)
            page.communicate(timeout=60)
            log.seek(0)
            errors = log.read()
        left = [str(p.relative_to(tmp)) for p in tmp.rglob('*') if p.is_file()]
        now = canary.stat()
        untouched = canary.read_bytes() == files['one'] and (now.st_mtime_ns, now.st_ino) == (was.st_mtime_ns, was.st_ino)
        alone = sorted(os.listdir(d)) == ['canary.jpg', 'tmp']
    middle = memory[len(memory) // 5:]
    half = len(middle) // 2
    said = dict(people=args.people, seconds=args.seconds, requests=dict(sorted(counts.items())),
        wrong=len(wrong), wrong_ones=Counter(wrong).most_common(9),
        seconds_median=round(slow[len(slow) // 2], 2), seconds_slowest=round(slow[-1], 2),
        memory_mb_at_start=memory[0], memory_mb_at_most=max(memory), memory_mb_second_to_fifth_fifth=[middle[0], middle[-1]],
        memory_mb_mean_of_halves=[round(float(np.mean(h))) for h in (middle[:half], middle[half:])], ended_with=page.returncode,
        errors_logged=Counter(re.findall(r'^([\w.]+(?:Error|Exception))\b', errors, re.M)),
        files_with_100_mb_waiting=waiting, files_left=left, canary_untouched=untouched and alone)
    print(json.dumps(said, indent=1))
    write_json(args.out, said | surroundings())

if __name__ == '__main__': main()
