"""Turn ``TFMessage.msg`` into C and Python sources with the generators of ROS 2's own wheels."""

from __future__ import annotations

import json
from pathlib import Path
import string

import geometry_msgs

PACKAGE = 'tf2_msgs'
#: What the tf2_msgs of a real ROS 2 Jazzy says; another hash would not talk to other nodes.
TYPE_HASH = 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'


def ros_prefix() -> Path:
    """Return the folder with ``share``, ``include`` and ``lib`` of the installed wheels."""
    return Path(geometry_msgs.__file__).resolve().parents[4]


class Generator:
    """Runs each generator with the argument file that ROS's CMake would have written."""

    def __init__(self, source: Path, build: Path):
        self.source = source.resolve()
        self.build = build.resolve()
        self.share = ros_prefix() / 'share'

    def run(self) -> dict[str, Path]:
        """Generate everything; return the folder of each generator's output."""
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
        return self.build / generator / PACKAGE

    def _write_idl(self):
        from rosidl_adapter.msg import convert_msg_to_idl
        folder = self._output('idl') / 'msg'
        folder.mkdir(parents=True, exist_ok=True)
        convert_msg_to_idl(self.source, PACKAGE, Path('msg/TFMessage.msg'), folder)

    def _write_description(self):
        from rosidl_generator_type_description import generate_type_hash
        generate_type_hash(self._arguments('rosidl_generator_type_description'))
        described = json.loads(self._description().read_text(encoding='utf-8'))
        found = described['type_hashes'][0]['hash_string']
        if found != TYPE_HASH:
            raise SystemExit(f'tf2_msgs/TFMessage has the type hash {found}; ROS 2 Jazzy has '
                             f'{TYPE_HASH}. Use the wheel versions of pyproject.toml.')

    def _description(self) -> Path:
        return self._output('rosidl_generator_type_description') / 'msg' / 'TFMessage.json'

    def _arguments(self, generator: str) -> str:
        """Write the argument file of one generator and return its path."""
        idl = self._output('idl')
        arguments = {
            'package_name': PACKAGE,
            'output_dir': str(self._output(generator)),
            'template_dir': str(self.share / generator / 'resource'),
            'idl_tuples': [f'{idl}:msg/TFMessage.idl'],
            'ros_interface_dependencies': [],
            'ros_interface_files': [str(self.source / 'msg' / 'TFMessage.msg')],
            'target_dependencies': [str(idl / 'msg' / 'TFMessage.idl')],
            'type_description_tuples': [f'msg/TFMessage.idl:{self._description()}'],
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
                PROJECT_NAME=PACKAGE, PROJECT_NAME_UPPER=PACKAGE.upper())
            (self._output(generator) / 'msg' / name).write_text(text, encoding='utf-8')
