"""
HRNet-W48 with a feature and a heat map head (Sun et al. 2019, Wang et al. 2020), for inference.

Four branches, each with half the resolution and twice the width of the one before, exchange their
maps after every module. Attribute names are those of the released weights.
"""


from torch import nn

WIDTHS = (48, 96, 192, 384)
FEATURE = 2048
_HEAD = (32, 64, 128, 256)


def conv_bn(inside: int, outside: int, kernel: int = 3, stride: int = 1, relu: bool = True,
            bias: bool = False) -> nn.Sequential:
    """Return a convolution, batch normalisation, and a ReLU unless ``relu`` is false."""
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=bias),
        nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        """Return a map of the same size."""
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions around a shortcut; the result is four times as wide."""

    def __init__(self, inside: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = (None if inside == 4 * width
                           else conv_bn(inside, 4 * width, 1, relu=False))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return ((x if self.downsample is None else self.downsample(x)) + y).relu()


class ExchangeModule(nn.Module):
    """Blocks of each branch; then the maps of each branch from those of all branches."""

    def __init__(self, branches: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(WIDTHS[b]) for _ in range(4))) for b in range(branches))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(source, target) for source in range(branches))
            for target in range(branches))

    def forward(self, maps):
        """Return one map for each branch."""
        maps = [branch(x) for branch, x in zip(self.branches, maps)]
        return [sum(layer(x) for layer, x in zip(row, maps)).relu() for row in self.fuse_layers]


class HrNet(nn.Module):
    """Network from images (N, 3, 256, 256) to heat maps (N, maps, 64, 64), features (N, 2048)."""

    def __init__(self, maps: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(*(Bottleneck(64 if i == 0 else 256, 64) for i in range(4)))
        self.transition1 = nn.ModuleList(
            [conv_bn(256, 48), nn.Sequential(conv_bn(256, 96, stride=2))])
        self.transition2 = nn.ModuleList(
            [nn.Identity(), nn.Identity(), nn.Sequential(conv_bn(96, 192, stride=2))])
        self.transition3 = nn.ModuleList(
            [nn.Identity()] * 3 + [nn.Sequential(conv_bn(192, 384, stride=2))])
        self.stage2 = nn.ModuleList(ExchangeModule(2) for _ in range(1))
        self.stage3 = nn.ModuleList(ExchangeModule(3) for _ in range(4))
        self.stage4 = nn.ModuleList(ExchangeModule(4) for _ in range(3))
        self.incre_modules = nn.ModuleList(
            nn.Sequential(Bottleneck(w, h)) for w, h in zip(WIDTHS, _HEAD))
        self.downsamp_modules = nn.ModuleList(
            conv_bn(4 * _HEAD[i], 4 * _HEAD[i + 1], stride=2, bias=True) for i in range(3))
        self.final_feat_layer = conv_bn(4 * _HEAD[3], FEATURE, 1, bias=True)
        self.final_layer = nn.Conv2d(WIDTHS[0], maps, 1)

    def forward(self, image):
        x = self.bn1(self.conv1(image)).relu()
        x = self.layer1(self.bn2(self.conv2(x)).relu())
        maps = [layer(x) for layer in self.transition1]
        for step, stage in ((None, self.stage2), (self.transition2, self.stage3),
                            (self.transition3, self.stage4)):
            if step is not None:
                maps = [*maps, step[-1](maps[-1])]
            for module in stage:
                maps = module(maps)
        y = self.incre_modules[0](maps[0])
        for i, down in enumerate(self.downsamp_modules):
            y = self.incre_modules[i + 1](maps[i + 1]) + down(y)
        return self.final_layer(maps[0]), self.final_feat_layer(y).mean(dim=(2, 3))


def _exchange(source: int, target: int) -> nn.Module:
    """Return the layers from resolution and width of ``source`` to those of ``target``."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=2 ** (source - target), mode='nearest')
        return nn.Sequential(*conv_bn(WIDTHS[source], WIDTHS[target], 1, relu=False), up)
    last = target - source - 1
    return nn.Sequential(*(
        conv_bn(WIDTHS[source], WIDTHS[target] if i == last else WIDTHS[source], stride=2,
                relu=i < last) for i in range(last + 1)))
