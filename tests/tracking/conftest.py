"""mlflow is imported as tswork imports it: without telemetry and without its remarks about itself."""

from tswork.tracking.client import import_quietly

import_quietly()
