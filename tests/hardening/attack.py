"""The long attack: `python tests/hardening/attack.py --seed 7 --cases 8000 --report attack.json`.

`--only 1234` replays one case and keeps its folder.
"""

import sys
from pathlib import Path

for folder in (Path(__file__).parents[2], Path(__file__).parents[1], Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from attacker.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
