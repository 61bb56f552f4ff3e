import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # metric_oracles.py and metric_shapes.py
