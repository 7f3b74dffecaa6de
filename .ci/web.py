"""Drive the static page (`fer_export --web`) in a real browser, headless Chromium, and compare it with `Predictor`.

    python .ci/web.py [FOLDER] [--record FILE]      # where web_desktop.jpg and web_phone.jpg go, and the figures as JSON

Wants: npm, Chromium, pip install playwright.
"""
import argparse, base64, functools, http.server, io, shutil, sys, tempfile, threading, time
from pathlib import Path
import matplotlib.cbook as cbook
import numpy as np
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from skimage import data
from fer_fastai.core import EMOTIONS
from fer_fastai.files import sha256_of, write_json
from fer_fastai.data.cropping import crop_face, cut_faces
from fer_fastai.data.detection import FaceDetector
from fer_fastai.data.readers import read_faces
from fer_fastai.images import read_image
from fer_fastai.inference.predictor import Predictor
from fer_fastai.evaluation.records import surroundings
from fer_fastai.inference.web import to_web
from fer_fastai.models.locate import model_file

FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-background-networking',
         '--disable-component-update', '--disable-sync', '--no-first-run', '--use-fake-ui-for-media-stream',
         '--use-fake-device-for-media-stream']
SCREENS = dict(desktop=dict(viewport=dict(width=1280, height=900)),
               phone=dict(viewport=dict(width=390, height=844), device_scale_factor=2, has_touch=True, is_mobile=True))
SAME = 1e-3                                                    # the largest difference of a probability on equal crops

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

def served(folder):
    "A server of static files, and its address."
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f'http://127.0.0.1:{server.server_port}/'

def photos():
    with cbook.get_sample_data('grace_hopper.jpg') as f: hopper = read_image(f)
    astronaut = data.astronaut()
    both = np.concatenate([hopper[:512, :512], astronaut[:, ::-1]], 1)
    far = np.full((1080, 1920, 3), 120, dtype=np.uint8)
    small = np.asarray(Image.fromarray(hopper).resize((128, 150), Image.Resampling.BOX))
    far[500:650, 1300:1428] = small
    return dict(hopper=hopper, astronaut=astronaut, both=both, far=far)

CALL = "const {opened, cropFace, drawn, grey, read} = await import('./page.js'); const tools = await opened;"

def in_page(tab, body, *args): return tab.evaluate(f'async args => {{ {CALL} {body} }}', list(args))

def compare_crops(tab, predictor):
    "Equal crops, drawn and noise: the largest difference of a probability, for both sets of views."
    drawn = read_faces('demo:140', progress=False).pixels[:100]
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 48), dtype=np.uint8)
    crops = [*drawn, *noise]
    body = 'return await tools.model.probabilities(args[0].map(c => Uint8Array.from(c)), args[1])'
    off = {}
    for name, tta in (('photo', None), ('camera', 'none')):
        said = in_page(tab, body, [c.ravel().tolist() for c in crops], name)
        off[name] = float(np.abs(np.array(said) - predictor.probabilities(crops, tta=tta)).max())
    return len(crops), off

def data_url(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'png')
    return 'data:image/png;base64,' + base64.b64encode(file.getvalue()).decode()

DRAW = """const image = await createImageBitmap(await new Promise((ok, no) => {
  const image = new Image(); image.onload = () => ok(image); image.onerror = no; image.src = args[0] }));
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);"""

def compare_photos(tab, predictor, images):
    "Whole photos: boxes, crops from equal boxes, emotions; what each took in the browser."
    rows = {}
    for name, image in images.items():
        begin = time.perf_counter()
        said = in_page(tab, DRAW + 'const faces = await read(tools, canvas, false, false);'
                       'return faces.map(f => ({...f, crop: Array.from(f.crop)}))', data_url(image))
        seconds = time.perf_counter() - begin
        ours = cut_faces(image, predictor.detector, 'all', 'always', 48)
        assert len(said) == len(ours), (name, len(said), len(ours))
        boxes = [[f[k] for k in ('x', 'y', 'width', 'height')] for f in said]
        crops = [crop_face(image, g._replace(**{k: f[k] for k in ('x', 'y', 'width', 'height')}, eyes=tuple(map(tuple, f['eyes']))))
                 for f, (g, _) in zip(said, ours)]
        grey = max(int(np.abs(np.reshape(f['crop'], (48, 48)).astype(int) - c).max()) for f, c in zip(said, crops))
        p = np.array([f['probabilities'] for f in said])
        theirs = predictor.probabilities([c for _, c in ours])
        assert (p.argmax(1) == theirs.argmax(1)).all(), (name, p, theirs)
        rows[name] = dict(faces=len(said), box=int(np.abs(np.array(boxes) - [g[:4] for g, _ in ours]).max()), grey_levels=grey,
                          probability=float(np.abs(p - theirs).max()), milliseconds=round(1000 * seconds))
    return rows

def check_transparent(tab):
    "What is transparent is white."
    said = in_page(tab, "const c = drawn(new OffscreenCanvas(8, 8), 8, 8, 8);"
                   "return Array.from(c.getContext('2d').getImageData(0, 0, 8, 8).data)")
    assert set(said) == {255}, set(said)

def slow_leave(tab):
    "From now on the browser takes half a second to give leave for the camera, as with a question to the visitor."
    tab.evaluate('''() => {
        const at = navigator.mediaDevices, ask = at.getUserMedia.bind(at)
        window.got = []
        at.getUserMedia = async how => {
            await new Promise(done => setTimeout(done, 500))
            const stream = await ask(how)
            got.push(...stream.getTracks())
            return stream
        }
    }''')

def try_by_hand(tab, d, image):
    "What a visitor does: files good and bad, a tick, the camera."
    notice, faces = tab.locator('#notice'), tab.locator('.face')
    give = lambda f: tab.locator('#file').set_input_files(str(d/f))
    for file, want in (('text.jpg', 'is not an image'), ('empty.png', 'No face was found')):
        give(file)
        expect(notice).to_contain_text(want, timeout=60_000)
        expect(faces).to_have_count(0)
    tab.get_by_label('It is a face already').check()
    expect(faces).to_have_count(1, timeout=20_000)
    tab.get_by_label('It is a face already').uncheck()
    give('both.png')
    expect(faces).to_have_count(2, timeout=20_000)
    tab.get_by_text('Use the camera').click()
    expect(faces).to_have_count(1, timeout=30_000)
    tab.get_by_text('Stop the camera').click()
    slow_leave(tab)
    tab.get_by_text('Use the camera').click()
    tab.get_by_text('Stop the camera').click()                 # before leave was given
    tab.wait_for_timeout(1000)
    assert tab.evaluate('got.length && got.every(t => t.readyState === "ended")'), 'a camera is still on'
    give('text.jpg')
    expect(notice).to_contain_text('is not an image')
    tab.get_by_label('It is a face already').check()
    tab.wait_for_timeout(500)
    expect(faces).to_have_count(0)                             # the image before is gone
    tab.get_by_label('It is a face already').uncheck()
    give('hopper.png')
    expect(faces).to_have_count(1, timeout=20_000)
    expect(faces.locator('.row')).to_have_count(len(EMOTIONS))
    assert tab.evaluate('document.documentElement.scrollWidth <= window.innerWidth + 1'), 'wider than the screen'

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder', nargs='?', type=Path, default=Path(tempfile.mkdtemp()))
    p.add_argument('--record')
    args = p.parse_args()
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not chromium: sys.exit('there is no Chromium on this machine; install it (apt-get install chromium)')
    predictor, images = Predictor('quick_int8', detector=FaceDetector()), photos()
    with tempfile.TemporaryDirectory() as d, sync_playwright() as play:
        d = Path(d)
        size = to_web('quick_int8', d/'site')
        for name, image in images.items(): Image.fromarray(image).save(d/f'{name}.png')
        Image.fromarray(np.full((480, 640, 3), 120, dtype=np.uint8)).save(d/'empty.png')
        (d/'text.jpg').write_text('hello')
        frame = Image.fromarray(images['hopper'][:480, :512]).resize((640, 480))
        frame.save(d/'frame.jpg', quality=95, subsampling=2)
        (d/'camera.mjpeg').write_bytes((d/'frame.jpg').read_bytes() * 30)
        server, at = served(d/'site')
        browser = play.chromium.launch(executable_path=chromium, args=[*FLAGS, f'--use-file-for-fake-video-capture={d}/camera.mjpeg'])
        for name, how in SCREENS.items():
            tab, errors, asked = browser.new_page(**how), [], []
            tab.on('pageerror', lambda e: errors.append(str(e)))
            tab.on('request', lambda r: asked.append(r.url))
            begin = time.perf_counter()
            tab.goto(at)
            tab.wait_for_selector('body[data-ready=yes]', timeout=60_000)
            ready = time.perf_counter() - begin
            if name == 'desktop':
                crops, off = compare_crops(tab, predictor)
                rows = compare_photos(tab, predictor, images)
                check_transparent(tab)
            try_by_hand(tab, d, images['hopper'])
            args.folder.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=str(args.folder/f'web_{name}.jpg'), type='jpeg', quality=80, full_page=name == 'phone')
            away = {u.split('/')[2] for u in asked if u.startswith('http') and not u.startswith(at)}
            assert not errors and not away, (errors, away)
            print(f'{name}: ready after {ready:.1f} s; all messages as they should be; no other host was asked')
            tab.close()
        browser.close()
        server.shutdown()
    print(f'{crops} equal crops: probabilities differ by at most {max(off.values()):.1e}')
    for name, row in rows.items(): print(name, row)
    if max(off.values()) > SAME: sys.exit(f'that is more than {SAME:g}')
    if args.record:
        write_json(args.record, dict(crops=crops, largest_difference=off, photos=rows, bytes=size, model=sha256_of(model_file('quick_int8')),
                                     **surroundings()))
    print(f'images in {args.folder}')

if __name__ == '__main__': main()
