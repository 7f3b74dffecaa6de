"""Drive the page in a real browser, headless Chromium, and keep two images of it.

    python .ci/browser.py [FOLDER]      # where page_desktop.jpg and page_phone.jpg go; wants: pip install playwright, and Chromium
"""
import shutil, sys, tempfile, time
from pathlib import Path
from urllib.parse import urlsplit
import matplotlib.cbook as cbook, numpy as np
from gradio.utils import get_upload_folder
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from fer_fastai.inference.app import create_app, launch
from fer_fastai.images import read_image

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
if not chromium: sys.exit('there is no Chromium on this machine; install it (apt-get install chromium)')
app = create_app()
at = launch(app, port=None, block=False)
def on_disk(): return {p for p in Path(get_upload_folder()).rglob('*') if p.is_file()}
before = on_disk()
with tempfile.TemporaryDirectory() as d, sync_playwright() as play:
    d = Path(d)
    with cbook.get_sample_data('grace_hopper.jpg') as f: photo = read_image(f)             # the portrait that comes with Matplotlib, public domain
    Image.fromarray(photo).save(d/'photo.jpg'); (d/'text.jpg').write_text('hello')
    Image.fromarray(np.concatenate([photo, photo[:, ::-1]], 1)).save(d/'two.jpg')
    Image.fromarray(np.full((480, 640, 3), 120, dtype=np.uint8)).save(d/'empty.jpg')
    Image.new('L', (10000, 10000), 200).save(d/'huge.jpg')
    browser = play.chromium.launch(executable_path=chromium, args=['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'])
    for name, how in (('desktop', dict(viewport=dict(width=1280, height=1060))), ('phone', dict(viewport=dict(width=390, height=844), device_scale_factor=2, has_touch=True, is_mobile=True))):
        tab = browser.new_page(**how)
        said = []
        tab.on('pageerror', lambda e: said.append(str(e)))
        asked = []
        tab.on('request', lambda r: asked.append(r.url))
        refused = set()
        tab.on('response', lambda r: r.status >= 400 and refused.add(urlsplit(r.url).path))
        tab.goto(at)
        def give(file, want, where='#answer'):
            tab.locator('input[type=file]:not([webkitdirectory])').first.set_input_files(str(d/file))
            expect(tab.locator(where)).to_contain_text(want, timeout=20_000)
        give('photo.jpg', 'happy')
        answer = tab.locator('#answer')
        expect(answer.locator('img.fer-photo')).to_be_visible(); expect(answer.locator('.fer-bar')).to_have_count(7); expect(answer.locator('.fer-face')).to_have_count(1)
        tab.get_by_label('Show what the model looked at').check()
        expect(answer).to_contain_text('Grad-CAM', timeout=60_000)
        assert tab.evaluate('document.documentElement.scrollWidth <= window.innerWidth + 1'), 'wider than the screen'
        out.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=str(out/f'page_{name}.jpg'), type='jpeg', quality=80, full_page=name == 'phone')
        tab.get_by_label('Show what the model looked at').uncheck(); expect(answer).not_to_contain_text('Grad-CAM', timeout=20_000)
        give('two.jpg', '2. '); expect(answer.locator('.fer-face')).to_have_count(2)
        give('text.jpg', 'is not an image'); give('empty.jpg', 'No face was found'); give('huge.jpg', 'more than 50 megapixels')
        give('photo.jpg', 'happy')
        tab.get_by_role('tab', name='Many images').click()
        tab.locator('input[type=file][multiple]').set_input_files([str(d/f) for f in ('photo.jpg', 'text.jpg', 'empty.jpg')])
        expect(tab.locator('#table')).to_contain_text('1 ok, 1 no face, 1 unreadable', timeout=20_000)
        with tab.expect_download() as download: tab.get_by_text('Download emotions.csv').click()
        rows = Path(download.value.path()).read_text().splitlines()
        assert len(rows) == 4 and rows[1].startswith('photo.jpg,ok'), rows
        assert not said, said
        assert all(p.startswith(('/gradio_api/file=', '/gradio_api/upload_progress')) for p in refused), refused           # the page needs neither
        away = {u.split('/')[2] for u in asked if u.startswith('http') and not u.startswith(at)}
        print(f'{name}: all messages as they should be; hosts asked besides this one: {", ".join(sorted(away)) or "none"}')
        tab.close()
    assert not app.uploads.files and on_disk() == before, (app.uploads.files, on_disk() - before)
    for _ in range(100):                                                                      # a closed tab is forgotten
        if not app.app.state_holder.session_data: break
        time.sleep(.1)
    else: sys.exit('sessions are remembered after their tabs were closed')
    browser.close()
app.close(verbose=False)
print(f'images in {out}; no upload left on the disk')
