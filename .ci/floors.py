"""Check that a module of fer_fastai imports only from its own floor or from one above it, never in a circle.

    python .ci/floors.py            # the table of floors, and one line per fault
    python .ci/floors.py --counts   # only how many modules and imports there are, whatever the layout

An import inside a function counts like one at the top. An arrow is a pair of modules, one of which imports the other.
"""
import argparse
import ast
import sys
from collections import Counter
from suite import ROOT

PACKAGE = ROOT/'fer_fastai'
FLOORS = ('core', 'files', 'images', 'data', 'models', 'learner', 'evaluation', 'training', 'inference', 'studies', 'cli')
LINES = 260         # what a module may have

def modules():
    "The package's modules and their files: {'data.readers': path}."
    files = [f for f in sorted(PACKAGE.rglob('*.py')) if f.stem not in ('__init__', '_modidx')]
    return {'.'.join(f.relative_to(PACKAGE).with_suffix('').parts): f for f in files}

def floor(module): return module.split('.')[0]

def named(node, package):
    "The dotted names that one statement may import, as seen from inside the package `package`."
    if isinstance(node, ast.Import): return [a.name for a in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[:len(package) - node.level + 1] if node.level else []
        base = '.'.join([*base, *filter(None, [node.module])])
        return [f'{base}.{a.name}' for a in node.names]
    called = isinstance(node, ast.Call) and getattr(node.func, 'attr', getattr(node.func, 'id', ''))
    lazy = called in ('import_module', '__import__') and node.args and isinstance(node.args[0], ast.Constant)
    return [str(node.args[0].value)] if lazy else []

def imports(path, known):
    "Which of the `known` modules a file imports, with the line of the first import of each."
    package, found = ['fer_fastai', *path.relative_to(PACKAGE).parts[:-1]], {}
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        for name in named(node, package):
            inside = name.removeprefix('fer_fastai.')
            if inside == name: continue
            target = next((t for t in (inside, inside.rpartition('.')[0]) if t in known), None)
            if target: found[target] = min(found.get(target, node.lineno), node.lineno)
    return found

def circles(graph):
    "The groups of modules that reach one another: each is one circle or more."
    def reached(start):
        seen, todo = set(), list(graph[start])
        while todo:
            m = todo.pop()
            if m not in seen:
                seen.add(m)
                todo += graph[m]
        return seen
    reach = {m: reached(m) for m in graph}
    groups = {frozenset(o for o in graph if m in reach[o] and o in reach[m]) for m in graph}
    return sorted(sorted(g) for g in groups if g)

def inits():
    "What is wrong in the `__init__` files: they import nothing, so that one room doesn't pull in the others."
    for path in sorted(PACKAGE.rglob('__init__.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield f'{path.relative_to(ROOT)}:{node.lineno}: an __init__ imports nothing'

def faults(files, graph):
    order = {name: i for i, name in enumerate(FLOORS)}
    for module, path in files.items():
        where, lines = path.relative_to(ROOT), len(path.read_text(encoding='utf-8').splitlines())
        if lines > LINES: yield f'{where}: {lines} lines, at most {LINES}'
        if floor(module) not in order: yield f'{where}: on no floor; the floors are {", ".join(FLOORS)}'
        for target, line in graph[module].items():
            here, there = order.get(floor(module)), order.get(floor(target))
            if None not in (here, there) and there > here: yield f'{where}:{line}: {module} imports {target}, a floor below it'
    within = {m: [t for t in graph[m] if floor(t) == floor(m)] for m in graph}      # between floors the order is enough
    for group in circles(within): yield f'fer_fastai/{floor(group[0])}: a circle: {", ".join(group)}'
    yield from inits()

def table(files, graph):
    arrows = [(floor(a), floor(b)) for a in graph for b in graph[a]]
    inside = Counter(a for a, b in arrows if a == b)
    into, out = Counter(b for a, b in arrows if a != b), Counter(a for a, b in arrows if a != b)
    print(f'{"floor":<12}{"in":>5}{"out":>5}{"inside":>8}   rooms')
    for name in [*FLOORS, *sorted({floor(m) for m in files} - set(FLOORS))]:
        rooms = [m.partition('.')[2] or m for m in files if floor(m) == name]
        print(f'{name:<12}{into[name]:>5}{out[name]:>5}{inside[name]:>8}   {" ".join(rooms) or "-"}')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--counts', action='store_true', help='only the numbers')
    args = p.parse_args()
    files = modules()
    graph = {m: imports(f, files) for m, f in files.items()}
    found = [] if args.counts else list(faults(files, graph))
    if not args.counts: table(files, graph)
    print(f'{len(files)} modules, {sum(map(len, graph.values()))} arrows')
    for fault in found: print(fault)
    return len(found) > 0

if __name__ == '__main__': sys.exit(main())
