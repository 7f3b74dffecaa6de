"""Floors import only from floors above them, rooms of one floor only from left to right, and nothing in a circle.

    python .ci/floors.py            # the table, and one line for each fault; exit code 1 where there is one
"""
import ast, sys
from collections import Counter
from notebooks import ROOT

FLOORS = ('core', 'files', 'images', 'runs', 'data', 'models', 'learner', 'evaluation', 'training', 'inference',
          'studies', 'cli')
LONGEST = 265                 # lines of a module
PACKAGE = ROOT/'fer_fastai'

def rooms():
    "Module names, such as 'data.readers', with their files."
    files = {'.'.join(p.relative_to(PACKAGE).with_suffix('').parts): p for p in PACKAGE.rglob('*.py')}
    return {name: p for name, p in files.items() if not name.endswith('__init__') and name != '_modidx'}

def imported(name, path, known):
    "The rooms that a room imports, at its top or inside a function."
    package, out = name.split('.')[:-1], set()
    for n in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(n, ast.Import): out |= {a.name.removeprefix('fer_fastai.') for a in n.names}
        if not isinstance(n, ast.ImportFrom): continue
        base = package[:len(package) - n.level + 1] if n.level else (n.module or '').split('.')[:1]
        if not n.level and base != ['fer_fastai']: continue
        inside = (n.module or '').split('.') if n.level else n.module.split('.')[1:]
        at = [*(base if n.level else []), *filter(None, inside)]
        out |= {'.'.join(at), *('.'.join([*at, a.name]) for a in n.names)}
    return out & set(known) - {name}

def circle(arrows):
    "Rooms that import each other in a circle, or an empty list."
    left = {k: set(v) for k, v in arrows.items()}
    while free := [k for k, v in left.items() if not v & set(left)]:
        for k in free: del left[k]
    return sorted(left)

def faults(known, arrows):
    "One sentence each."
    floor = {name: FLOORS.index(name.split('.')[0]) if name.split('.')[0] in FLOORS else None for name in known}
    for name, path in known.items():
        lines = len(path.read_text(encoding='utf-8').splitlines())
        if floor[name] is None: yield f'{name} stands on no floor'
        if lines > LONGEST: yield f'{name} has {lines} lines, {LONGEST} are the limit'
        for other in arrows[name]:
            if None not in (floor[name], floor[other]) and floor[other] > floor[name]: yield f'{name} imports {other}, a floor below it'
    if ring := circle(arrows): yield f"{', '.join(ring)} import each other in a circle"
    for p in PACKAGE.rglob('__init__.py'):
        if 'import' in p.read_text(encoding='utf-8'): yield f'{p.relative_to(ROOT)} imports something'

def table(known, arrows):
    "A line for each floor: its rooms, and arrows inside and to floors above."
    count = Counter()
    for name, others in arrows.items():
        for o in others: count[name.split('.')[0], o.split('.')[0] == name.split('.')[0]] += 1
    for f in FLOORS:
        mine = [n.split('.')[-1] for n in known if n.split('.')[0] == f]
        yield f"{f:11}{count[f, True]:3} inside {count[f, False]:3} up   {', '.join(mine)}"

def main():
    known = dict(sorted(rooms().items()))
    arrows = {name: imported(name, path, known) for name, path in known.items()}
    print(*table(known, arrows), sep='\n')
    print(f'{len(known)} rooms, {sum(map(len, arrows.values()))} arrows')
    bad = list(faults(known, arrows))
    print(*bad, sep='\n', end='\n' if bad else '')
    sys.exit(bool(bad))

if __name__ == '__main__': main()
