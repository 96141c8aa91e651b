"""Errors that a user can act on: the value, what was expected, and the remedy."""


class NikiError(Exception):
    """Base of all errors raised on purpose by niki_ros."""


class InputError(NikiError):
    """An array, image, stamp or message does not have the required form."""


class ConfigError(NikiError):
    """A setting is unknown, of the wrong type, or out of its range."""


class ModelError(NikiError):
    """A model file is missing, damaged, or not what its manifest states."""


class SourceError(NikiError):
    """A video, camera, bag or folder of images cannot be read."""


class BackendError(NikiError):
    """The library, device or precision that was asked for cannot be used."""


class OutputError(NikiError):
    """A file could not be written completely; no part of it is kept."""
