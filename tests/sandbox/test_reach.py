"""What a row of a source can change is read from the source; in doubt, it is everything."""

from __future__ import annotations

import ast

import pytest

from graders_engine.sandbox.inside.reach import Reach, reach_of

OWN = [
    "def grade(s, i): return 1.0 if s['output_text'] == i['x'] else 0.0",
    "import json, re\ndef grade(s, i): return len(re.findall('a', json.dumps(s)))",
    "from collections import Counter\ndef grade(s, i):\n    global n\n    n = Counter(s)\n    return len(n)",
    "from __future__ import annotations\nimport math as m\ndef grade(s, i): return m.sqrt(i['x'])",
    "def grade(s, i):\n    print(s)\n    return float('{0}'.format(i).strip().isdigit())",
    "import html\ndef grade(s, i): return len(html.unescape(s['output_text']))",
    "if __name__ == '__main__': pass\ndef grade(s, i): return sorted(i).index(s)",
]
RANDOM = [
    "import random\ndef grade(s, i): return random.random()",
    "from statistics import NormalDist\ndef grade(s, i): return NormalDist().samples(1)[0]",
]
FILES = [
    "import numpy as np\ndef grade(s, i): return float(np.mean(i))",
    "from numpy import array\ndef grade(s, i): return array(i).sum()",
]
NUMPY_RANDOM = [
    "import numpy as np\ndef grade(s, i): return np.random.rand()",
    "from numpy import random as r\ndef grade(s, i): return r.rand()",
    "from numpy.random import rand\ndef grade(s, i): return rand()",
    "import numpy.matlib as m\ndef grade(s, i): return m.rand(1).sum()",
]
ALL = [
    "import os\ndef grade(s, i): return 1.0",
    "def grade(s, i):\n    import signal\n    return 1.0",
    "from os import path\ndef grade(s, i): return 1.0",
    "import pandas\ndef grade(s, i): return 1.0",
    "from . import json\ndef grade(s, i): return 1.0",
    "import json\ndef grade(s, i):\n    json.dumps = len\n    return 1.0",
    "import json\ndef grade(s, i):\n    json.indent += 1\n    return 1.0",
    "import json\ndef grade(s, i):\n    del json.dumps\n    return 1.0",
    "import json\ndef grade(s, i):\n    for json.dumps in [len]: pass\n    return 1.0",
    "import json\ndef grade(s, i):\n    with s as json.dumps: pass\n    return 1.0",
    "import json\ndef grade(s, i):\n    setattr(json, 'dumps', len)\n    return 1.0",
    "def grade(s, i):\n    f = setattr\n    return 1.0",
    "def grade(s, i): return getattr(s, i)",
    "from functools import reduce\ndef grade(s, i): return reduce(getattr, i.split('.'), s)",
    "import operator\ndef grade(s, i): return operator.methodcaller(i)(s)",
    "from operator import attrgetter as a\ndef grade(s, i): return a(i)(s)",
    "from numpy import *\ndef grade(s, i): return random.rand()",
    "from operator import *\ndef grade(s, i): return attrgetter(i)(s)",
    "import enum, json\ndef grade(s, i): return enum.bltns.setattr(json, 'loads', len)",
    "from functools import update_wrapper\ndef grade(s, i): return 1.0",
    "from functools import wraps\ndef grade(s, i): return 1.0",
    "import numpy as np\ndef grade(s, i): return np.random.set_bit_generator(i)",
    "def grade(s, i): return open('x').read()",
    "def grade(s, i): return eval(s)",
    "def grade(s, i): return exec(s)",
    "def grade(s, i): return __import__('os').getpid()",
    "def grade(s, i): return __builtins__['open']('x')",
    "def grade(s, i): return grade.__globals__['x']",
    "def grade(s, i): return ().__class__.__base__.__subclasses__()",
    "import re\ndef grade(s, i): return re.enum.sys.setrecursionlimit(50)",
    "from re import enum, copyreg\ndef grade(s, i): return 1.0",
    "import json\ndef grade(s, i): return json.codecs.open('x')",
    "import random\ndef grade(s, i): return random._os.getpid()",
    "from random import _os\ndef grade(s, i): return 1.0",
    "import numpy.ctypeslib as c\ndef grade(s, i): return c.load_library('libc.so.6', '/lib')",
    "from numpy import ctypeslib\ndef grade(s, i): return 1.0",
    "def grade(s, i):\n    try: i.x\n    except Exception as e: return e.with_traceback(None).tb_frame",
    "def grade(s, i):\n    g = (g.gi_frame for _ in s)\n    return 1.0",
    "def grade(s, i):\n    match i:\n        case object(__class__=c): return c.x\n    return 1.0",
    "def grade(s, i):\n    match i:\n        case re(_os=c): return c.getpid()\n    return 1.0",
]


def found(source: str) -> tuple[bool, bool, bool]:
    reach: Reach = reach_of(ast.parse(source))
    return reach.process, reach.files, reach.draws


@pytest.mark.parametrize("source", OWN)
def test_a_source_of_texts_and_numbers_reaches_its_own_module(source: str) -> None:
    assert found(source) == (False, False, False)


@pytest.mark.parametrize("source", RANDOM)
def test_a_source_that_draws_random_numbers_reaches_their_state(source: str) -> None:
    assert found(source) == (False, False, True)


@pytest.mark.parametrize("source", FILES)
def test_numpy_reaches_files(source: str) -> None:
    assert found(source) == (False, True, False)


@pytest.mark.parametrize("source", NUMPY_RANDOM)
def test_the_random_numbers_of_numpy_are_seen_by_their_name(source: str) -> None:
    assert found(source) == (False, True, True)


@pytest.mark.parametrize("source", ALL)
def test_whatever_is_not_known_to_be_harmless_reaches_the_process(source: str) -> None:
    assert found(source) == (True, True, True)
