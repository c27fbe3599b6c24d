#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is every numbered edge case tested, and does every numbered test stand in the table?

edge_cases.txt has one row per case: its number, name and expectation, then indented one line for
each test of it ("<file below tests> <Class>.<test>"), or, where there is none, "pending: reason"
or "not here: reason". "differs: reason" beside tests says that the original is not followed.
A test carries its number in its name, test_NNN_... Nothing is run here.
"""
import ast
import collections
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
SUITES = ('scenarios', 'observe', 'process', 'cluster', 'audit')    # where numbered tests may live
LAST = 220

Row = collections.namedtuple('Row', 'number name tests reasons')


def read_table(path):
    """[Row]; what is no table ends the program."""
    rows = []
    with open(path, encoding='utf8') as f:
        for line in f:
            line = line.rstrip('\n')
            if not line.strip() or line.startswith('#'):
                continue
            head = re.fullmatch(r'(\d{3}) (\w+)(: .+)?', line)
            reason = re.fullmatch(r'    (pending|not here|differs): (.+)', line)
            test = re.fullmatch(r'    ([\w/]+) (\w+\.test_\w+)', line)
            if head:
                rows.append(Row(int(head.group(1)), head.group(2), [], {}))
            elif rows and reason:
                rows[-1].reasons[reason.group(1)] = reason.group(2)
            elif rows and test:
                rows[-1].tests.append(f'{test.group(1)} {test.group(2)}')
            elif not (rows and re.match(r'  \S', line)):    # two blanks: the expectation goes on
                sys.exit(f'{path}: what is this? {line!r}')
    return rows


def numbered(name):
    match = re.match(r'test_(\d{3})_', name)
    return int(match.group(1)) if match else None


def tests_of(path):
    """Names of the test methods in a file, as the table writes them."""
    with open(path, encoding='utf8') as f:
        module = ast.parse(f.read(), path)
    where = os.path.relpath(path, TESTS)[:-3]
    for case in (n for n in module.body if isinstance(n, ast.ClassDef)):
        for function in (n for n in case.body if isinstance(n, ast.FunctionDef)):
            if function.name.startswith('test_'):
                yield f'{where} {case.name}.{function.name}', numbered(function.name)


def faults(rows, tests):
    """Lines, one for each thing that is wrong."""
    numbers = [row.number for row in rows]
    for number in range(1, LAST + 1):
        if numbers.count(number) != 1:
            yield f'{number:03}: {numbers.count(number)} rows'
    for number in sorted(set(tests.values()) - {None} - set(numbers)):
        yield f'{number:03}: carried by a test, but no row: {[t for t in tests if tests[t] == number]}'
    for row in rows:
        yield from faults_of_row(row, tests)


def faults_of_row(row, tests):
    label = f'{row.number:03} {row.name}'
    here = [test for test, number in tests.items() if number == row.number]
    absent = {'pending', 'not here'} & set(row.reasons)
    if bool(absent) == bool(row.tests):
        yield f'{label}: needs either tests or one of "pending:" and "not here:"'
    for test in row.tests:
        if test not in tests:
            yield f'{label}: there is no test "{test}"'
        elif tests[test] != row.number:
            yield f'{label}: "{test}" does not carry this number'
    for test in sorted(set(here) - set(row.tests)):
        instead = f' instead of "{absent.pop()}:"' if absent else ''
        yield f'{label}: not in the table; to be written there{instead}:\n    {test}'


def main():
    rows = read_table(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'edge_cases.txt'))
    tests = {}
    for suite in SUITES:
        for path in sorted(glob.glob(os.path.join(TESTS, suite, 'test_*.py'))):
            tests.update(tests_of(path))
    found = list(faults(rows, tests))
    for line in found:
        print(line)
    pending = [row.number for row in rows if 'pending' in row.reasons]
    if pending:
        print(f'pending: {pending}')
    print(f'{len(rows)} cases, {sum(len(row.tests) for row in rows)} tests of them')
    print(f'{0 if found else 1} passed, {len(found)} failed, 0 skipped')
    sys.exit(1 if found else 0)


if __name__ == '__main__':
    main()
