"""Build the documentation into OUT as nbdev makes it, by default without Quarto, and check it.

    python .ci/docs.py OUT              # process the notebooks, check all links, render the pages and llms.txt
    python .ci/docs.py OUT --quarto     # the same, rendered by Quarto

Works in a copy of nbs/ and fer_fastai/. Fails, with one line per fault, on a notebook that nbdev can't process (it runs each
exported cell, and each other cell with an import, alone) and on a broken link. smalldocs, which checks, needs Python 3.11.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from html import unescape
from pathlib import Path
from urllib.parse import unquote
import yaml
from floors import FLOORS
from notebooks import ROOT, notebooks, read, text

ORDER = ('index', 'tutorials', 'experiments', *FLOORS)      # what isn't among them comes last
COPIED = ('nbs', 'fer_fastai', 'settings.ini', 'pyproject.toml', 'README.md')
WORKER = '''
import json, sys
from pathlib import Path
from nbdev.processors import FilterDefaults
from nbdev.serve_drv import main
for name in sys.argv[1:]:
    source, to = Path('nbs')/name, Path('_proc')/name
    to.parent.mkdir(parents=True, exist_ok=True)
    try: main((source, to, FilterDefaults))
    except Exception as e:
        code = str(e).partition(chr(10))[2].strip()         # nbdev's message: a line, then the cell's code
        cells = json.loads(source.read_text(encoding='utf-8'))['cells']
        at = next((f'cell {i} ({c["id"]}): ' for i, c in enumerate(cells) if code and code in ''.join(c['source'])), '')
        why = e.__cause__ or e
        print(f'nbs/{name}: {at}{type(why).__name__}: {" ".join(str(why).split())[:200]}')
        to.write_bytes(source.read_bytes())                 # so that links to it aren't called broken too
'''

def sidebar():
    "The sidebar: tutorials and experiments, then the floors in their order; a folder is a section."
    sections = {}
    for path in notebooks():
        page = path.relative_to(ROOT/'nbs')
        name = page.parts[0] if len(page.parts) > 1 else page.stem
        sections.setdefault(re.sub(r'^\d+_', '', name), []).append(page.as_posix())
    place = {name: i for i, name in enumerate(ORDER)}
    names = sorted(sections, key=lambda name: place.get(name, len(place)))
    contents = []
    for name in names:
        pages = sections[name]
        title = name.capitalize() if name in ORDER[:3] else name
        contents += pages if '/' not in pages[0] else [dict(section=title, contents=pages)]
    return yaml.safe_dump(dict(website=dict(sidebar=dict(contents=contents))), sort_keys=False)

def environment(tree):
    "The variables of the commands: this tree's package, and a stub where there's no Quarto, which nbdev would try to install."
    bins = [str(Path(sys.executable).parent), os.environ['PATH']]
    if not shutil.which('quarto'):
        (tree/'stub').mkdir()
        (tree/'stub/quarto').write_text('#!/bin/sh\nexit 1\n')
        (tree/'stub/quarto').chmod(0o755)
        bins.insert(0, str(tree/'stub'))
    return os.environ | dict(PATH=os.pathsep.join(bins), PYTHONPATH=str(tree), OMP_NUM_THREADS='1')

def processed(tree, env):
    "Run nbdev_proc_nbs; where it fails, find out which notebooks can't be processed, and why."
    done = subprocess.run(['nbdev_proc_nbs', '--n_workers', '2'], cwd=tree, env=env, capture_output=True, text=True)
    names = [p.relative_to(ROOT/'nbs').as_posix() for p in notebooks()]
    missing = [name for name in names if not (tree/'_proc'/name).exists()]
    if not done.returncode and not missing: return []
    again = subprocess.run([sys.executable, '-c', WORKER, *missing], cwd=tree, env=env, capture_output=True, text=True)
    found = [line for line in again.stdout.splitlines() if line.startswith('nbs/')]
    return found or [f'nbdev_proc_nbs: {(done.stderr or again.stderr).strip()[-500:]}']

def settings():
    ini = ConfigParser()
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def pages(proc):
    "Which processed notebook each page of the site comes from: {'data/readers.html': 'data/02_readers.ipynb'}."
    found = {}
    for path in proc.rglob('*.ipynb'):
        cells = [text(cell) for cell in read(path)['cells']]
        named = re.search(r'^output-file: *(\S+)', cells[0], re.M)
        unprocessed = next(filter(None, (re.match(r'#\| *default_exp +(?:\w+\.)*(\w+)', cell) for cell in cells)), None)
        page = path.with_name(named[1] if named else f'{unprocessed[1]}.html' if unprocessed else f'{path.stem}.html')
        found[page.relative_to(proc).as_posix()] = path.relative_to(proc).as_posix()
    return found

def relinked(path, proc, known, cfg):
    """Links that a checker can follow, in one processed notebook. nbdev's full addresses of this site become notebooks' names;
    a link to a file of the repository becomes its address there, an image is copied. Returns what leads nowhere."""
    site, repo, faults = cfg['doc_host'] + cfg['doc_baseurl'] + '/', f"{cfg['git_url']}/blob/{cfg['branch']}/", []
    def own(m):
        if m[1] in known: return os.path.relpath(proc/known[m[1]], path.parent)
        faults.append(f'broken link {m[0]}')
        return m[0]
    def outside(m):
        file = (path.parent/m[2]).resolve()
        if file.is_relative_to(proc) or not file.is_relative_to(proc.parent): return m[0]
        name = file.relative_to(proc.parent)
        if not (ROOT/name).exists(): return m[0]
        if name.suffix not in ('.png', '.jpg', '.svg', '.gif'): return m[1] + repo + name.as_posix()
        copy = proc/'outside'/name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT/name, copy)
        return m[1] + os.path.relpath(copy, path.parent)
    source = path.read_text(encoding='utf-8')
    source = re.sub(re.escape(site) + r'([\w/.-]+\.html)', own, source)
    source = re.sub(r'(\]\(|(?:src|href)=\\")(\.\./[\w/.-]+)', outside, source)
    path.write_text(source, encoding='utf-8')
    return [f'nbs/{path.relative_to(proc).as_posix()}: {fault}' for fault in faults]

def checked(proc, env):
    "The broken links that smalldocs finds, and the syntax that it can't read."
    done = subprocess.run(['smalldocs', 'check', str(proc)], env=env, capture_output=True, text=True)
    fine = re.compile(r'is not read by smalldocs$|is ignored$|is not built: smalldocs makes only html$|^\d+ page\(s\)|^\s*$')
    if done.stderr.strip() and not done.stdout.strip(): return [done.stderr.strip()[-500:]]
    return [f'nbs/{line}' for line in done.stdout.splitlines() if not fine.search(line)]

def anchors(site):
    "The links inside the rendered site whose `#place` isn't there."
    ids = {f: set(re.findall(r'\bid="([^"]+)"', f.read_text(encoding='utf-8'))) for f in site.rglob('*.html')}
    for path in sorted(ids):
        for page, place in sorted(set(re.findall(r'<a\b[^>]*\bhref="([^":#?]*)#([^"]+)"', path.read_text(encoding='utf-8')))):
            target = (path.parent/page).resolve() if page else path
            if target in ids and unquote(unescape(place)) not in ids[target]:
                yield f'{path.relative_to(site).as_posix()}: broken link {page}#{place}'

def rendered(command, proc, env):
    "Render the site by a command; returns what it complains about, if it fails."
    done = subprocess.run(command, cwd=proc, env=env, capture_output=True, text=True)
    return [f'{command[0]}: {(done.stderr or done.stdout).strip()[-2000:]}'] if done.returncode else []

def build(tree, out, quarto):
    ignored = shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints')
    for name in COPIED:
        if (ROOT/name).is_dir(): shutil.copytree(ROOT/name, tree/name, ignore=ignored)
        else: shutil.copy2(ROOT/name, tree/name)
    (tree/'nbs/sidebar.yml').write_text(sidebar(), encoding='utf-8')
    env, proc, cfg = environment(tree), tree/'_proc', settings()
    faults = processed(tree, env)
    known = pages(proc)
    for path in sorted(proc.rglob('*.ipynb')): faults += relinked(path, proc, known, cfg)
    if sys.version_info < (3, 11): print('links are not checked: smalldocs needs Python 3.11')
    else: faults += checked(proc, env) or rendered(['smalldocs', 'render', '--quiet', '.'], proc, env)
    if not faults: faults += anchors(proc/cfg['doc_path'])
    if quarto and not faults: faults += rendered(['quarto', 'render', '--no-cache'], proc, env)
    for fault in dict.fromkeys(faults): print(fault)
    if faults or not (proc/cfg['doc_path']).exists(): return len(faults) > 0
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(proc/cfg['doc_path'], out)
    listed = (out/'llms.txt').read_text(encoding='utf-8').count('](')
    print(f'{len(list(out.rglob("*.html")))} pages, llms.txt with {listed} of them')
    return 0

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path, help='the folder of the rendered pages; it is replaced')
    p.add_argument('--quarto', action='store_true', help='render with Quarto, which has to be installed')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as d:
        return build(Path(d).resolve(), args.out.resolve(), args.quarto)

if __name__ == '__main__': sys.exit(main())
