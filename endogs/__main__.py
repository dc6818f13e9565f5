"""`python -m endogs` is `endogs`."""

import sys

from endogs.cli import main

sys.exit(main())
