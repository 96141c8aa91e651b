"""Base of networks that observe people by one graph of a model folder."""

from typing import Dict

from niki_ros.observers.person_network import Workload


class GraphNetwork:
    """
    Loads a model folder and runs its graph.

    A subclass has ``KIND`` of the manifest, ``MAKER`` (the command that makes such folders) and
    ``OUTPUTS`` of the graph with their shapes. ``engine_options`` are those of
    :func:`niki_ros.backends.load_engine`.

    :raises ModelError: for a folder of another kind.
    """

    KIND = ''
    MAKER = ''
    OUTPUTS: Dict[str, tuple] = {}

    def __init__(self, model, **engine_options):
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        folder.check_kind(self.KIND, self.MAKER)
        self._prepare(folder)
        self.name = folder.manifest['name']
        self.engine = load_folder_engine(folder, self.OUTPUTS, **engine_options)

    def _prepare(self, folder) -> None:
        """Read the manifest's facts about input and output."""

    def set_workload(self, workload: Workload) -> None:
        """Do nothing: there is one graph."""

    def describe(self) -> Dict[str, str]:
        facts = {f'observer_{name}': str(value) for name, value in self.engine.describe().items()}
        return {'observer': self.KIND, 'observer_model': self.name, **facts}

    def close(self) -> None:
        self.engine.close()
