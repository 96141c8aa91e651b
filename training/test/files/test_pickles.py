"""No reader of pickles runs what a pickle asks for."""

import os
import pickle

from niki_ros.common.errors import InputError, NikiError
from niki_training.data.readers import read_motion
from niki_training.data.smpl_skeleton import skeleton_from_smpl
from niki_training.files.data_frames import read_frame
from niki_training.importers.checkpoint import read_checkpoint
from niki_training.train.checkpoint import load_checkpoint
import pytest
import torch


class MakesFolder:
    """Make a folder when unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('read', [
    skeleton_from_smpl, lambda path: read_motion(path, '3dpw'),
    lambda path: read_motion(path, 'agora'), read_checkpoint, load_checkpoint])
def test_a_pickle_that_runs_code_is_refused(tmp_path, read):
    path, trap = tmp_path / 'evil.pkl', tmp_path / 'trap'
    path.write_bytes(pickle.dumps({'poses': MakesFolder(trap)}))
    with pytest.raises(NikiError, match=r'evil\.pkl'):
        read(path)
    torch.save({'state_dict': MakesFolder(trap), 'config': MakesFolder(trap)}, path)
    with pytest.raises(NikiError, match=r'evil\.pkl'):
        read(path)
    assert not trap.exists()


@pytest.mark.parametrize('name', ['os.system', 'pandas.read_csv', 'torch.load', 'builtins.eval'])
def test_no_function_by_name_is_called(tmp_path, name):
    trap = tmp_path / 'trap'
    (tmp_path / 'evil.pkl').write_bytes('c{}\n{}\n(Vmkdir {}\ntR.'.format(
        *name.split('.'), trap).encode())
    with pytest.raises(InputError, match=r'evil\.pkl'):
        read_frame(tmp_path / 'evil.pkl')
    assert not trap.exists()
