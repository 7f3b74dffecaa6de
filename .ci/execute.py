"""Make the stored outputs of notebooks again, in place.

    python .ci/execute.py                          # all notebooks in nbs/
    python .ci/execute.py nbs/data/04_drawn.ipynb  # these
    python .ci/execute.py --flags 'slow network'   # run cells with these flags, too; otherwise they keep their outputs

Outputs hold no path of this machine, no address in memory, nothing of standard error, and no image above 150 kB. Cells with
`#| hide` keep none. A notebook that fails stays as it is; the exit code is then 1.
"""
import argparse, base64, io, logging, os, re, sys, tempfile, time
from pathlib import Path
import nbformat
from execnb.nbio import nb2str, read_nb
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbdev.clean import clean_nb
from nbdev.config import get_config
from notebooks import ROOT, directives, has, name, notebooks
from PIL import Image

LARGEST = 150_000             # bytes of a stored image
REPLACED = [(re.escape(str(ROOT)) + r'/?', ''), (re.escape(str(Path.home())), '~'), (r'/tmp/[\w.-]+', '/tmp/…'),
            (r'\b0x[0-9a-f]{6,}\b', '0x…')]

def shown(said):
    "Text without what differs from machine to machine."
    for pattern, new in REPLACED: said = re.sub(pattern, new, said)
    return said

def smaller(png):
    "A PNG image below the limit, base64: fewer colours, then fewer pixels."
    data = base64.b64decode(png)
    if len(data) <= LARGEST: return png
    im = Image.open(io.BytesIO(data)).convert('RGB')
    for colours, scale in ((256, 1), (64, 1), (256, .75), (64, .75), (64, .5)):
        part = im.resize([round(s * scale) for s in im.size]) if scale < 1 else im
        out = io.BytesIO()
        part.quantize(colours).save(out, 'png', optimize=True)
        if out.tell() <= LARGEST: break
    return base64.b64encode(out.getvalue()).decode() + '\n'

def bar(html):
    "Is this HTML a progress bar, and no table?"
    left = re.sub(r'(?s)<style.*?</style>', '', html).strip()
    return bool(html) and ('<progress' in left or not left)

def kept(output):
    "An output as it is stored, or None."
    if output['output_type'] == 'stream':
        if output['name'] == 'stderr': return None
        said = shown(''.join(output['text']))
        return dict(output) | dict(text=said.splitlines(True)) if said.strip() else None
    data = {k: v for k, v in output.get('data', {}).items() if 'widget' not in k}
    if bar(''.join(data.get('text/html', ''))): return None
    for kind, value in data.items():
        if kind.startswith('text/'): data[kind] = shown(''.join(value)).splitlines(True)      # as notebooks are stored
        if kind == 'image/png': data[kind] = smaller(''.join(value))
    if 'image/png' in data: data.pop('text/plain', None)
    only = ''.join(data.get('text/plain', 'x')).strip()
    return dict(output) | dict(data=dict(data), metadata={}) if data and only else None

def skipped(cell, flags):
    "Does this cell keep its outputs?"
    off = [f for f in get_config().tst_flags.split() if has(cell, f) and f not in flags]
    return bool(off) or any(re.fullmatch(r'eval:\s*false', d) for d in directives(cell))

def execute(path, flags):
    "Run a notebook and store its outputs; the error's text where it fails."
    nb, run = read_nb(path), nbformat.read(path, as_version=4)
    if 'skip_exec: true' in nb.cells[0].source: return
    code = [i for i, c in enumerate(nb.cells) if c['cell_type'] == 'code']
    for i in code:
        run.cells[i].source = 'pass' if skipped(nb.cells[i], flags) else nb.cells[i].source
    where = dict(metadata=dict(path=str(Path(path).parent)))
    try: NotebookClient(run, timeout=1800, kernel_name='python3', resources=where,
                         extra_arguments=['--IPKernelApp.log_level=40']).execute()
    except CellExecutionError as e: return f'{e.ename}: {e.evalue}'.splitlines()[0]
    for i in code:
        if skipped(nb.cells[i], flags): continue
        outputs = [] if has(nb.cells[i], 'hide') else [kept(o) for o in run.cells[i]['outputs']]
        nb.cells[i].outputs = [o for o in outputs if o]
    clean_nb(nb, allowed_cell_metadata_keys=get_config().allowed_cell_metadata_keys.split())
    write(path, nb)

def write(path, nb):
    "Put a notebook in its place, whole or not at all."
    with tempfile.NamedTemporaryFile('w', dir=Path(path).parent, suffix='.tmp', delete=False, encoding='utf-8') as f:
        f.write(nb2str(nb))
    os.chmod(f.name, 0o644)
    os.replace(f.name, path)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', type=Path, default=None)
    p.add_argument('--flags', default='', help='run cells with these flags, too')
    args = p.parse_args()
    os.environ['PYTHONPATH'] = str(ROOT) + os.pathsep + os.environ.get('PYTHONPATH', '')
    os.environ.pop('IN_TEST', None)
    logging.disable(logging.WARNING)
    bad = 0
    for path in args.notebooks or notebooks():
        start = time.time()
        error = execute(path, args.flags.split())
        bad += bool(error)
        print(f"{name(path)}: {error or 'done'}, {time.time() - start:.0f} s", flush=True)
    sys.exit(bad > 0)

if __name__ == '__main__': main()
