"""Settings of a training of a network that looks at people."""

from dataclasses import dataclass

from niki_ros.common.errors import ConfigError

PRECISIONS = ('fp32', 'tf32', 'fp16')


@dataclass(frozen=True)
class LookTrainConfig:
    """Settings of one run; part of its checkpoint."""

    batch: int = 24  # rendered crops of a step, of each process
    photographs: int = 8  # crops of photographs of a step, of each process
    minutes: float = 14.0  # the run ends after this time, over all its parts
    steps: int = 0  # or after these steps; 0 = by the time only
    # bf16 ruins the trunk: its outputs in metres are off by 40 to 135 mm
    precision: str = 'fp32'  # one of ``PRECISIONS``; fp16 with scaled gradients, on a GPU only
    # highest learning rates: of the trunk, whose normalisations are folded into its weights, so
    # that 1e-4 is too much,
    trunk_rate: float = 4e-5
    lift_rate: float = 3e-4  # of the layers that come from the lifter
    head_rate: float = 1e-3  # and of the new layers
    final_ratio: float = 0.02  # of the learning rates at the end
    weight_decay: float = 1e-4
    # of the features of the image that the new layers read; they learn stored crops by heart
    dropout: float = 0.2
    warm_up_steps: int = 100  # a linear rise of the learning rates
    average_decay: float = 0.998  # of the weights' exponential average
    max_gradient: float = 2.0  # norm
    max_failures: int = 30  # steps in a row that are not finite, after which the run ends
    save_period_s: float = 60.0  # between checkpoints, and lines of the log
    seed: int = 0

    def check(self) -> 'LookTrainConfig':
        """Return these settings; a setting out of range is a ConfigError that names it."""
        if self.precision not in PRECISIONS:
            raise ConfigError(f'precision is {self.precision!r}; expected one of '
                              f'{", ".join(PRECISIONS)}')
        for name, low in (('batch', 1), ('photographs', 0), ('minutes', 0), ('steps', 0),
                          ('trunk_rate', 0), ('lift_rate', 0), ('head_rate', 0)):
            value = getattr(self, name)
            if not low <= value < float('inf'):
                raise ConfigError(f'{name} is {value}; expected {low} or more')
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f'dropout is {self.dropout}; expected 0 or more, below 1')
        if self.minutes == 0 and self.steps == 0:
            raise ConfigError('minutes and steps are both 0; the run would not end')
        return self
