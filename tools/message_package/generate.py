"""C and Python sources of messages, made by the generators in the wheels of ROS 2."""

import json
from pathlib import Path
import string
from typing import Dict, NamedTuple, Tuple

import std_msgs


class Package(NamedTuple):
    """One package of messages."""

    folder: Path  # with package.xml and msg/
    uses: Tuple[str, ...]  # packages whose messages these messages contain
    # message → type hash in ROS 2 Jazzy, where known; nodes with another hash do not receive it
    hashes: Dict[str, str]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def messages(self) -> Tuple[str, ...]:
        return tuple(sorted(path.stem for path in (self.folder / 'msg').glob('*.msg')))


def ros_prefix() -> Path:
    """Return the folder with ``share``, ``include`` and ``lib`` of the installed wheels."""
    return Path(std_msgs.__file__).resolve().parents[4]


class Generator:
    """Runs each generator with the argument file that CMake writes in a ROS build."""

    def __init__(self, package: Package, build: Path):
        self.package, self.build, self.share = package, build.resolve(), ros_prefix() / 'share'

    def run(self) -> dict[str, Path]:
        """Generate all sources; return the output folder of each generator."""
        from rosidl_generator_c import generate_c
        from rosidl_generator_py import generate_py
        from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
        from rosidl_typesupport_introspection_c import generate_c as generate_introspection

        self._write_idl()
        self._write_description()
        generate_c(self._arguments('rosidl_generator_c'))
        generate_typesupport_fastrtps_c(self._arguments('rosidl_typesupport_fastrtps_c'))
        generate_introspection(self._arguments('rosidl_typesupport_introspection_c'))
        self._output('rosidl_generator_py').joinpath('msg').mkdir(parents=True, exist_ok=True)
        generate_py(self._arguments('rosidl_generator_py'), ['rosidl_typesupport_c'])
        self._output('rosidl_generator_py').joinpath('__init__.py').touch()
        self._write_visibility_headers()
        return {path.name: path for path in self.build.iterdir() if path.is_dir()}

    def _output(self, generator: str) -> Path:
        return self.build / generator / self.package.name

    def _write_idl(self):
        from rosidl_adapter.msg import convert_msg_to_idl
        folder = self._output('idl') / 'msg'
        folder.mkdir(parents=True, exist_ok=True)
        for message in self.package.messages:
            convert_msg_to_idl(self.package.folder, self.package.name,
                               Path(f'msg/{message}.msg'), folder)

    def _write_description(self):
        from rosidl_generator_type_description import generate_type_hash
        generate_type_hash(self._arguments('rosidl_generator_type_description'))
        for message in self.package.messages:
            described = json.loads(self._description(message).read_text(encoding='utf-8'))
            found = described['type_hashes'][0]['hash_string']
            if found != self.package.hashes.get(message, found):
                raise SystemExit(f'{self.package.name}/{message} has the type hash {found}; ROS 2 '
                                 f'Jazzy has {self.package.hashes[message]}. Use the wheel '
                                 'versions of pyproject.toml.')

    def _description(self, message: str) -> Path:
        return self._output('rosidl_generator_type_description') / 'msg' / f'{message}.json'

    def _arguments(self, generator: str) -> str:
        """Write the argument file of one generator and return its path."""
        idl, names = self._output('idl'), self.package.messages
        arguments = {
            'package_name': self.package.name,
            'output_dir': str(self._output(generator)),
            'template_dir': str(self.share / generator / 'resource'),
            'idl_tuples': [f'{idl}:msg/{name}.idl' for name in names],
            'ros_interface_dependencies': [],
            'ros_interface_files': [str(self.package.folder / 'msg' / f'{name}.msg')
                                    for name in names],
            'target_dependencies': [str(idl / 'msg' / f'{name}.idl') for name in names],
            'type_description_tuples': [f'msg/{name}.idl:{self._description(name)}'
                                        for name in names],
            'include_paths': [f'{path.name}:{path}' for path in self.share.iterdir()
                              if (path / 'msg').is_dir()],
        }
        if generator == 'rosidl_generator_type_description':
            del arguments['type_description_tuples']
        path = self.build / f'{generator}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(arguments), encoding='utf-8')
        return str(path)

    def _write_visibility_headers(self):
        """Fill in the headers that CMake configures."""
        class Template(string.Template):
            pattern = r'@(?P<named>[A-Z_]+)@|(?P<escaped>@@)|(?P<braced>$^)|(?P<invalid>$^)'

        for generator in ('rosidl_generator_c', 'rosidl_typesupport_fastrtps_c',
                          'rosidl_typesupport_introspection_c'):
            name = f'{generator}__visibility_control.h'
            template = self.share / generator / 'resource' / f'{name}.in'
            text = Template(template.read_text(encoding='utf-8')).substitute(
                PROJECT_NAME=self.package.name, PROJECT_NAME_UPPER=self.package.name.upper())
            (self._output(generator) / 'msg' / name).write_text(text, encoding='utf-8')
