"What the checks share: the repository's root, its notebooks, and what stands in a cell."
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIRECTIVE = re.compile(r'^\s*#\s*\|\s*([\w-]+):?\s*(.*?)\s*$')

def notebooks(names=()):
    "The notebooks called `names`, or all of `nbs/`, sorted; hidden folders and files are left out, as nbdev does."
    if names: return [Path(name).resolve() for name in names]
    found = [f for f in (ROOT/'nbs').rglob('*.ipynb') if not any(p[0] in '._' for p in f.relative_to(ROOT).parts)]
    if not found: raise SystemExit(f'no notebooks under {ROOT/"nbs"}')
    return sorted(found)

def short(path):
    "A path as seen from the root, where it's inside."
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name

def load(path): return json.loads(path.read_text(encoding='utf-8'))

def text(lines):
    "A notebook's text, which may be stored as a list of lines."
    return lines if isinstance(lines, str) else ''.join(lines)

def directives(cell):
    "nbdev's directives at the top of a cell: `#| eval: false` is `{'eval': 'false'}`."
    found = {}
    for line in text(cell['source']).splitlines():
        if not line.strip(): continue
        m = DIRECTIVE.match(line)
        if not m: break
        found[m[1]] = m[2]
    return found

def exported(flags): return bool({'export', 'exporti', 'exports'} & flags.keys())

def skipped(flags, skip): return flags.get('eval', '').lower() == 'false' or bool(flags.keys() & set(skip))

def skips_all(nb):
    "Whether the front matter says `skip_exec: true`."
    first = next((c for c in nb['cells'] if c['cell_type'] in ('raw', 'markdown')), dict(source=''))
    return bool(re.search(r'^\W*skip_exec:\s*true\b', text(first['source']), re.I | re.M))
