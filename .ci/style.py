"""Check the notebooks' form: short cells, imports in cells of their own, and outputs that a reader sees.

    python .ci/style.py                       # all of nbs/
    python .ci/style.py nbs/00_core.ipynb     # one

A code cell
- has lines of at most 120 characters, and at most 25 of them, directives and blank lines not counted; a longer cell
  says why in the first line after its directives: `# long: one step at a time, as a reader would type it`;
- holds nothing but imports (`with quiet_fastai():` around them is fine) if it has an import at its top level; a cell that isn't
  exported has an import nowhere else either, because nbdev runs such a cell alone when it makes the docs;
- defines at most two functions or classes if it is exported.

A visible cell that ends with a drawing (a call of plot_…, show_batch, show_results, imshow, .plot or plt.show, or the name
fig) stores its picture; a notebook that exports a plot_… function shows one; a notebook that exports shows some output.
No stored output holds an error, a folder of some machine, or more than about 150 kB.
"""
import ast
import re
import sys
from configparser import ConfigParser
from suite import DIRECTIVE, ROOT, directives, exported, load, notebooks, short, skipped, skips_all, text

WIDTH, LINES, DEFINITIONS, OUTPUT = 120, 25, 2, 205_000      # 150 kB are 200,000 characters of base64
IMPORTS, DEFS = (ast.Import, ast.ImportFrom), (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
DRAWING = re.compile(r'plot|plot_\w+|show_batch|show_results|imshow|matshow')
FOLDER = re.compile(r'(?<![\w.~$-])/(root|home|work|tmp|Users)/[\w.-]')
LONG = re.compile(r'#\s*long:\s*\S')

def parsed(source):
    "The statements of a cell, without the lines that only IPython knows; none for a cell in another language."
    if source.lstrip().startswith('%%'): return []
    plain = re.sub(r'^(\s*)[!%].*$', r'\1pass', source, flags=re.M)
    return ast.parse(plain).body

def only_imports(node):
    "Whether a statement does nothing but import, inside `with`, `try` or `if` too."
    if isinstance(node, (*IMPORTS, ast.Pass)): return True
    if not isinstance(node, (ast.With, ast.Try)): return False
    parts = [*node.body, *getattr(node, 'orelse', []), *getattr(node, 'finalbody', [])]
    parts += [n for h in getattr(node, 'handlers', []) for n in h.body]
    return all(map(only_imports, parts))

def has_import(node): return any(isinstance(n, IMPORTS) for n in ast.walk(node))

def draws(body):
    "Whether a cell's last statement is a drawing: one of the calls in its chain has such a name; arguments don't count."
    if not body or not isinstance(body[-1], ast.Expr): return False
    node = body[-1].value
    if isinstance(node, ast.Name) and node.id == 'fig': return True
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
            if DRAWING.fullmatch(name) or ast.unparse(node.func) == 'plt.show': return True
            node = node.func
        else: node = node.value
    return False

def size(source):
    "Faults of a cell's lines."
    lines = [line for line in source.splitlines() if line.strip() and not DIRECTIVE.match(line)]
    for line in source.splitlines():
        if len(line) > WIDTH: yield f'a line of {len(line)} characters, at most {WIDTH}: {line.strip()[:40]}…'
    if len(lines) > LINES and not LONG.match(lines[0]): yield f'{len(lines)} lines, at most {LINES} without a first line `# long: …`'

def code(body, flags):
    "Faults of a cell's statements."
    rest = [n for n in body if not only_imports(n)]
    top = any(has_import(n) for n in body if only_imports(n))
    if rest and top: yield f'imports and other code in one cell: {ast.unparse(rest[0]).splitlines()[0][:60]}'
    elif not exported(flags) and flags.get('eval') != 'false' and not all(isinstance(n, DEFS) for n in rest) and any(map(has_import, rest)):
        yield 'an import inside code that is not exported: the docs run this cell alone'
    defined = sum(isinstance(n, DEFS) for n in body)
    if exported(flags) and defined > DEFINITIONS: yield f'{defined} definitions in one cell, at most {DEFINITIONS}'

def stored(cell):
    "Faults of a cell's outputs."
    for out in cell['outputs']:
        if out['output_type'] == 'error': yield f'a stored error: {out["ename"]}'
        parts = {'text': out['text']} if 'text' in out else out.get('data', {})
        for kind, value in parts.items():
            value = text(value) if isinstance(value, (str, list)) else str(value)
            if len(value) > OUTPUT: yield f'an output of {len(value):,} characters ({kind}), at most {OUTPUT:,}'
            if kind.startswith('image/') and 'svg' not in kind: continue
            if 'Traceback (most recent call last)' in value: yield 'a traceback in an output'
            if m := FOLDER.search(value): yield f'a folder of a machine in an output: {value[m.start():m.start() + 40].splitlines()[0]}'

def pictured(cell): return any(kind in ('image/png', 'image/jpeg', 'image/svg+xml') for o in cell['outputs'] for kind in o.get('data', {}))

def faults(nb, skip):
    "What is wrong in a notebook, each with the place of its cell, or None for the notebook."
    cells = [(i, c, directives(c)) for i, c in enumerate(nb['cells']) if c['cell_type'] == 'code']
    plots = False
    for i, cell, flags in cells:
        source = text(cell['source'])
        for fault in (*size(source), *stored(cell)): yield i, fault
        try: body = parsed(source)
        except SyntaxError as e:
            yield i, f'not Python: {e.msg}, line {e.lineno}'
            continue
        for fault in code(body, flags): yield i, fault
        plots |= exported(flags) and any(isinstance(n, DEFS) and n.name.startswith('plot_') for n in body)
        seen = not exported(flags) and 'hide' not in flags and not skipped(flags, skip) and not skips_all(nb)
        if seen and draws(body) and not pictured(cell): yield i, f'draws, but stores no picture: {ast.unparse(body[-1])[:60]}'
    if plots and not any(pictured(c) for _, c, _ in cells): yield None, 'exports a plot_… function, but shows no picture'
    exports = any('default_exp' in flags for *_, flags in cells)
    if exports and not any(c['outputs'] for _, c, _ in cells): yield None, 'exports, but stores no output at all'

def main():
    ini = ConfigParser()
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    skip, paths, n = ini['DEFAULT']['tst_flags'].split(), notebooks(sys.argv[1:]), 0
    for path in paths:
        nb = load(path)
        for i, fault in faults(nb, skip):
            n += 1
            print(short(path) + (f': {fault}' if i is None else f': cell {i} ({nb["cells"][i].get("id")}): {fault}'))
    print(f'{len(paths)} notebooks, {n} faults')
    return n > 0

if __name__ == '__main__': sys.exit(main())
