"""How notebooks are written: cells, lines, imports, and outputs that a reader sees.

    python .ci/style.py [NOTEBOOK …]        # one line for each fault; exit code 1 where there is one

- code lines have at most 120 characters;
- a code cell has at most 25 lines, directives and blank ones not counted, or says why: its first line begins with `# long:`;
- an exported cell defines at most two functions or classes, or says why as above;
- a cell that imports something at its top level holds only imports (nbdev's docs run such cells alone);
- a cell that draws and isn't hidden has a stored image, unless a flag (`slow`, `network`) keeps it from being run;
- a notebook of the package shows at least one output; none shows an error or a path of somebody's machine.
"""
import ast, re, sys
from pathlib import Path
from notebooks import body, exported, has, name, notebooks, read, text

WIDEST, LONGEST, DEFINITIONS = 120, 25, 2
DRAWS = re.compile(r'(^|[^\w.])(plot_\w+|show_faces)\(|\.(show_batch|show_results|imshow|plot_loss|plot_top_losses|lr_find\(\)|plot_confusion_matrix)', re.M)
PLACE = re.compile(r'(/root/|/home/\w|/Users/\w|/work/|/tmp/\w|[A-Z]:\\\\Users)')

def tree(cell):
    "The cell's statements; None where they are no plain Python."
    try: return ast.parse('\n'.join(l for l in text(cell).split('\n') if not l.startswith(('#|', '%', '!'))))
    except SyntaxError: return None

def done(cell):
    "What the cell does at its top level, without the definitions that it makes."
    nodes = tree(cell)
    if nodes is None: return text(cell)
    defined = ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef
    return '\n'.join(ast.unparse(n) for n in nodes.body if not isinstance(n, defined))

def imports(node):
    "Is this statement an import, or a block of them?"
    if isinstance(node, ast.With): return all(map(imports, node.body))
    return isinstance(node, (ast.Import, ast.ImportFrom))

def in_code(cell):
    "Faults of a code cell's source."
    lines = body(cell)
    reason = lines[:1] and lines[0].startswith('# long:')
    wide = [l for l in text(cell).split('\n') if len(l) > WIDEST]
    if wide: yield f'a line of {max(map(len, wide))} characters'
    if len(lines) > LONGEST and not reason: yield f'{len(lines)} lines'
    nodes = tree(cell)
    if nodes is None: return
    defined = [n for n in nodes.body if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))]
    if exported(cell) and len(defined) > DEFINITIONS and not reason: yield f'{len(defined)} definitions'
    found = [imports(n) for n in nodes.body]
    if any(found) and not all(found): yield 'imports beside other code'

def outputs(cell):
    "All that a cell shows, as one text, and whether an image is among it."
    said = [o.get('data', {}) for o in cell['outputs']]
    texts = [''.join(v) for d in said for k, v in d.items() if k.startswith('text/')]
    texts += [''.join(o['text']) for o in cell['outputs'] if o['output_type'] == 'stream']
    return '\n'.join(texts), any('image/png' in d or '<img' in ''.join(d.get('text/html', '')) for d in said)

def in_outputs(cell):
    "Faults of what a cell shows."
    said, image = outputs(cell)
    if any(o['output_type'] == 'error' for o in cell['outputs']): yield 'a stored error'
    if place := PLACE.search(said): yield f'an output with {place[0]}'
    unseen = exported(cell) or has(cell, 'hide') or any(has(cell, f) for f in ('slow', 'network', 'eval: false'))
    draws = DRAWS.search(done(cell)) and not re.search(r'^\s*(test_|assert)', text(cell), re.M)
    if draws and not unseen and not image: yield 'it draws, and shows no image'

def faults(path):
    "One sentence each."
    code = [c for c in read(path)['cells'] if c['cell_type'] == 'code']
    for c in code:
        for fault in (*in_code(c), *in_outputs(c)): yield f"{name(path)}, cell {c['id']} ({(body(c) or [''])[0][:40]}): {fault}"
    if any(has(c, 'default_exp') for c in code) and not any(c['outputs'] for c in code): yield f'{name(path)}: no output is stored'

def main():
    bad = [f for p in (map(Path, sys.argv[1:]) if sys.argv[1:] else notebooks()) for f in faults(p)]
    print(*bad, sep='\n', end='\n' if bad else '')
    sys.exit(bool(bad))

if __name__ == '__main__': main()
