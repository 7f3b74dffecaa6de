"What the scripts beside it share: the notebooks of this repository and their cells."
import json, re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

def notebooks():
    "All notebooks, in the order of their paths."
    return sorted(p for p in (ROOT/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts and '_proc' not in p.parts)

def read(path): return json.loads(Path(path).read_text(encoding='utf-8'))
def text(cell): return ''.join(cell['source'])
def directives(cell):
    "The words behind `#|` at a cell's top, a line each."
    return re.findall(r'^#\|\s*(.*?)\s*$', text(cell), re.M) if cell['cell_type'] == 'code' else []

def body(cell):
    "A code cell's lines without directives and blank ones."
    return [l for l in text(cell).split('\n') if l.strip() and not l.startswith('#|')]

def has(cell, word): return any(d == word or d.startswith(word + ' ') for d in directives(cell))
def exported(cell): return has(cell, 'export') or has(cell, 'exporti')
def name(path): return str(Path(path).resolve().relative_to(ROOT))
