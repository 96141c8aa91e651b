"""Build ``tf2_msgs`` from its one-line definition, for ROS 2 Jazzy installed from wheels."""

from __future__ import annotations

from pathlib import Path
import shutil
import sys
import sysconfig
from xml.etree import ElementTree

from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generate import Generator, PACKAGE, ros_prefix  # noqa: E402, I100


def refuse_without_compiler():
    """Name the Debian packages to install instead of failing deep inside the compiler."""
    missing = []
    if not shutil.which('g++'):
        missing.append('g++')
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').is_file():
        missing.append('python3-dev')
    if missing:
        raise SystemExit('tf2_msgs is compiled here, which needs a C++ compiler and the headers '
                         f'of Python: sudo apt install {" ".join(missing)}')


def sources_and_includes(folders: dict[str, Path]):
    """Return what to compile, relative to this folder, and the folders of headers."""
    sources = [HERE / 'type_support.c']
    for name in ('rosidl_generator_c', 'rosidl_typesupport_fastrtps_c',
                 'rosidl_typesupport_introspection_c', 'rosidl_generator_py'):
        sources += sorted(folders[name].rglob('*.c')) + sorted(folders[name].rglob('*.cpp'))
    # Fast CDR's headers lie one folder higher than those of ROS
    include = ros_prefix() / 'include'
    headers = [include, *(path for path in include.iterdir() if path.is_dir())]
    return ([str(path.relative_to(HERE)) for path in sources],
            [str(path) for path in [*folders.values(), *headers]])


def extension(folders: dict[str, Path]) -> Extension:
    """Everything in one extension, linked to the libraries of the installed wheels."""
    import numpy
    sources, includes = sources_and_includes(folders)
    own = ['generator_c', 'generator_py', 'typesupport_fastrtps_c', 'typesupport_introspection_c']
    library = ros_prefix() / 'lib'
    return Extension(
        f'{PACKAGE}.{PACKAGE}_s__rosidl_typesupport_c',
        sources=sources,
        include_dirs=[*includes, numpy.get_include()],
        library_dirs=[str(library)],
        libraries=[*(f'geometry_msgs__rosidl_{name}' for name in own), 'rosidl_runtime_c',
                   'rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_fastrtps_cpp',
                   'rosidl_typesupport_introspection_c', 'rmw', 'rcutils'],
        extra_compile_args=['-g0', '-O2'],
        # The rpath reaches the environment's lib/ from lib/python3.x/site-packages/tf2_msgs/.
        extra_link_args=['-l:libfastcdr.so.2', '-Wl,-rpath,$ORIGIN/../../..',
                         f'-Wl,-rpath-link,{library}', '-s'])


def ament_files(folders: dict[str, Path]) -> list[tuple[str, list[str]]]:
    """Return the files by which ros2's tools know an interface package."""
    index = HERE / 'build' / 'index'
    contents = {'packages': '', 'package_run_dependencies': 'geometry_msgs',
                'rosidl_interfaces': 'msg/TFMessage.idl\nmsg/TFMessage.msg'}
    entries = []
    for kind, text in contents.items():
        path = index / kind / PACKAGE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        entries.append((f'share/ament_index/resource_index/{kind}',
                        [str(path.relative_to(HERE))]))
    described = folders['rosidl_generator_type_description'] / PACKAGE / 'msg' / 'TFMessage.json'
    idl = folders['idl'] / PACKAGE / 'msg' / 'TFMessage.idl'
    entries.append((f'share/{PACKAGE}', ['package.xml']))
    entries.append((f'share/{PACKAGE}/msg', [
        'msg/TFMessage.msg', str(idl.relative_to(HERE)), str(described.relative_to(HERE))]))
    return entries


def main():
    """Generate, then hand over to setuptools."""
    refuse_without_compiler()
    generated = HERE / 'build' / 'generated'
    shutil.rmtree(generated, ignore_errors=True)
    folders = Generator(HERE, generated).run()
    python = (folders['rosidl_generator_py'] / PACKAGE).relative_to(HERE)
    setup(
        name=PACKAGE.replace('_', '-'),
        version=ElementTree.parse(HERE / 'package.xml').findtext('version'),
        description='The TF message for ROS 2 Jazzy installed from wheels',
        license='Apache-2.0',
        packages=[PACKAGE, f'{PACKAGE}.msg'],
        package_dir={PACKAGE: str(python), f'{PACKAGE}.msg': str(python / 'msg')},
        ext_modules=[extension(folders)],
        data_files=ament_files(folders),
        install_requires=['ros-jazzy-geometry-msgs==5.3.6', 'numpy'],
        zip_safe=False)


main()
