"""Make the notebooks' stored outputs again, in place, small and the same on every machine.

    python .ci/execute.py                                # all of nbs/
    python .ci/execute.py nbs/00_core.ipynb              # one
    python .ci/execute.py --flags 'slow network'         # also the cells that the tests leave out

Skips what nbdev_test skips; such a cell keeps the outputs it has. A hidden cell keeps none. A notebook is written only
when all its cells ran; where one fails, the file stays as it is, one line names the cell, and the exit code is 1.
"""
import argparse
import base64
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from configparser import ConfigParser
from pathlib import Path
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbdev.clean import nbdev_clean
from PIL import Image
from suite import ROOT, directives, notebooks, short, skipped, skips_all

PNG_LIMIT = 150_000     # bytes of one stored figure
CLEANED = [             # what differs from machine to machine or from run to run, and what stands in its place
    (r'\x1b\[[0-?]*[ -/]*[@-~]', ''),                                       # colours of a terminal
    (r'<style>[^<]*\bprogress\b[^<]*</style>', ''),                         # progress bars
    (r'<div>\s*<progress.*?</progress>.*?</div>', ''),
    (r'<progress.*?</progress>', ''),
    (r' at 0x[0-9a-fA-F]+', ''),
    (r'\b0x[0-9a-fA-F]{8,}', '0x…'),
    (r'<td>\d+:\d\d(:\d\d)?</td>', '<td>–</td>'),                           # the recorder's column of times
    (r'(?m)^(CPU times|Wall time): .*\n?', ''),
    (r'\d[\d.]* \S?s ± .* per loop.*', '–'),
]

def places():
    "This machine's folders and their short forms, the longest first."
    home, temp = Path.home(), Path(tempfile.gettempdir())
    found = {str(ROOT): '.', sys.prefix: '$VIRTUAL_ENV', str(home): '~', str(temp): '$TMPDIR'}
    found |= {os.path.realpath(k): v for k, v in found.items()}
    return sorted(((k, v) for k, v in found.items() if len(k) > 2), key=lambda kv: -len(kv[0]))

def cleaned(text, folders=places()):
    "A text output without addresses, times, colours, progress bars and folders of this machine."
    for folder, name in folders: text = re.sub(rf'(?<![\w.-]){re.escape(folder)}(?![\w.-])', lambda m: name, text)
    text = re.sub(r'(\$TMPDIR/tmp)[a-z0-9_]{8}\b', r'\1', text)
    for pattern, to in CLEANED: text = re.sub(pattern, to, text, flags=re.S if 'progress' in pattern else 0)
    return text

def reduced(png):
    "A PNG of at most `PNG_LIMIT` bytes, in base64: fewer colours first, then fewer pixels."
    data = base64.b64decode(png)
    image = Image.open(io.BytesIO(data))
    for scale, colours in ((1, 256), (1, 64), (.75, 64), (.5, 64), (.35, 32)):
        if len(data) <= PNG_LIMIT: break
        size = [max(1, round(n * scale)) for n in image.size]
        small = image.convert('RGB').resize(size, Image.Resampling.LANCZOS).quantize(colours)
        out = io.BytesIO()
        small.save(out, 'PNG', optimize=True)
        data = out.getvalue()
    return base64.b64encode(data).decode()

def kept(out):
    "One output as it is stored, or None where nothing of it is."
    if out.output_type == 'stream':
        out.text = cleaned(out.text)
        return out if out.name == 'stdout' and out.text.strip() else None
    if out.output_type == 'error': return None
    data = out.data
    if any('widget' in kind for kind in data): return None
    if 'image/jpeg' in data and len(data.get('image/png', '')) > PNG_LIMIT: del data['image/png']      # a photo, shown by Pillow
    for kind in data:
        if kind == 'image/png': data[kind] = reduced(data[kind])
        elif kind.startswith('text/') or kind == 'image/svg+xml': data[kind] = cleaned(data[kind])
    if not data.get('text/html', 'x').strip(): return None              # nothing but a progress bar
    out.metadata = {}
    return out if data else None

def environment():
    "The kernel's variables: the package from this tree, one thread, and no IN_TEST, so that pictures are drawn."
    env = {k: v for k, v in os.environ.items() if k != 'IN_TEST'}
    return env | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', PYTHONHASHSEED='0')

def run(nb, folder, skip, timeout):
    "Run a notebook's cells in a new kernel; returns what went wrong, or ''."
    client = NotebookClient(nb, kernel_name='python3', resources=dict(metadata=dict(path=str(folder))),
                            timeout=timeout, coalesce_streams=True)
    with client.setup_kernel(env=environment(), cwd=str(folder), stderr=subprocess.DEVNULL):
        for i, cell in enumerate(nb.cells):
            if cell.cell_type != 'code' or skipped(directives(cell), skip): continue
            try: client.execute_cell(cell, i)
            except CellExecutionError as e: return f'cell {i} ({cell.id}): {e.ename}: {" ".join(str(e.evalue).split())[:300]}'
            except (CellTimeoutError, DeadKernelError) as e: return f'cell {i} ({cell.id}): {" ".join(str(e).split())[:300]}'
    return ''

def execute(path, skip, timeout):
    "Make one notebook's outputs again; returns what went wrong, or ''."
    nb = nbformat.read(path, as_version=4)
    if skips_all(nb): return ''
    fault = run(nb, path.parent, skip, timeout)
    if fault: return fault
    for cell in nb.cells:
        if cell.cell_type != 'code': continue
        cell.outputs = [] if 'hide' in directives(cell) else [o for o in map(kept, cell.outputs) if o]
        cell.execution_count = None
    nb.metadata.pop('widgets', None)
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.ipynb')     # nbdev passes over names with a dot in front
    try:
        nbformat.write(nb, temporary)
        nbdev_clean.__wrapped__(fname=str(temporary))
        os.replace(temporary, path)
    finally: temporary.unlink(missing_ok=True)
    return ''

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('notebooks', nargs='*', help='their paths; none: all')
    p.add_argument('--flags', default='', help="also run the cells with these flags, as 'slow network'")
    p.add_argument('--timeout', type=int, default=1800, help='seconds that one cell may take')
    args = p.parse_args()
    ini = ConfigParser()
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    skip = set(ini['DEFAULT']['tst_flags'].split()) - set(args.flags.split())
    paths, failed = notebooks(args.notebooks), 0
    os.chdir(ROOT)                                                      # where nbdev finds its settings
    for n, path in enumerate(paths, 1):
        start = time.monotonic()
        fault = execute(path, skip, args.timeout)
        failed += bool(fault)
        print(f'[{n}/{len(paths)}] {short(path)}: {fault or "done"}, {time.monotonic() - start:.0f} s', flush=True)
    return failed > 0

if __name__ == '__main__': sys.exit(main())
