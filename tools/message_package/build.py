"""Build of a message package from its definitions, for ROS 2 Jazzy installed from wheels."""

from pathlib import Path
import shutil
import string
import sysconfig
from xml.etree import ElementTree

from generate import Generator, Package, ros_prefix
from setuptools import Extension, setup

TYPE_SUPPORT = Path(__file__).with_name('type_support.c.in')


def refuse_without_compiler(package: Package):
    """Raise SystemExit with the Debian packages to install if there is no compiler."""
    missing = [] if shutil.which('g++') else ['g++']
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').is_file():
        missing.append('python3-dev')
    if missing:
        raise SystemExit(f'{package.name} is compiled here, which needs a C++ compiler and the '
                         f'headers of Python: sudo apt install {" ".join(missing)}')


def type_supports(package: Package, folder: Path) -> list[Path]:
    """Write the source that returns the type support of each message; return the paths."""
    from rosidl_pycommon import convert_camel_case_to_lower_case_underscore as snake_case

    class Template(string.Template):
        delimiter = '@'

    template, paths = Template(TYPE_SUPPORT.read_text('utf-8')), []
    folder.mkdir(parents=True, exist_ok=True)
    for message in package.messages:
        paths.append(folder / f'{message}_type_support.c')
        paths[-1].write_text(template.substitute(
            package=package.name, message=message, file=snake_case(message)), 'utf-8')
    return paths


def sources_and_includes(package: Package, folders: dict[str, Path]):
    """Return the sources, relative to the package, and the folders of headers."""
    sources = type_supports(package, folders['idl'].parent / 'type_supports')
    for name in ('rosidl_generator_c', 'rosidl_typesupport_fastrtps_c',
                 'rosidl_typesupport_introspection_c', 'rosidl_generator_py'):
        sources += sorted(folders[name].rglob('*.c')) + sorted(folders[name].rglob('*.cpp'))
    # Fast CDR's headers lie one folder higher than those of ROS
    include = ros_prefix() / 'include'
    headers = [include, *(path for path in include.iterdir() if path.is_dir())]
    return ([str(path.relative_to(package.folder)) for path in sources],
            [str(path) for path in [*folders.values(), *headers]])


def extension(package: Package, folders: dict[str, Path]) -> Extension:
    """Return one extension with all sources, linked to the libraries of the installed wheels."""
    import numpy
    sources, includes = sources_and_includes(package, folders)
    own = ['generator_c', 'generator_py', 'typesupport_fastrtps_c', 'typesupport_introspection_c']
    library = ros_prefix() / 'lib'
    return Extension(
        f'{package.name}.{package.name}_s__rosidl_typesupport_c',
        sources=sources, include_dirs=[*includes, numpy.get_include()],
        library_dirs=[str(library)],
        libraries=[*(f'{used}__rosidl_{name}' for used in package.uses for name in own),
                   'rosidl_runtime_c', 'rosidl_typesupport_fastrtps_c',
                   'rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_introspection_c', 'rmw',
                   'rcutils'],
        extra_compile_args=['-g0', '-O2'],
        # The rpath reaches the environment's lib/ from lib/python3.x/site-packages/<package>/.
        extra_link_args=['-l:libfastcdr.so.2', '-Wl,-rpath,$ORIGIN/../../..',
                         f'-Wl,-rpath-link,{library}', '-s'])


def ament_files(package: Package, folders: dict[str, Path]) -> list[tuple[str, list[str]]]:
    """Return the files that the tools of ros2 read from an interface package."""
    def relative(path: Path) -> str:
        return str(path.relative_to(package.folder))

    index = package.folder / 'build' / 'index'
    names = [f'msg/{message}' for message in package.messages]
    contents = {'packages': '', 'package_run_dependencies': ';'.join(package.uses),
                'rosidl_interfaces': '\n'.join(f'{name}.{kind}' for kind in ('idl', 'msg')
                                               for name in names)}
    entries = []
    for kind, text in contents.items():
        path = index / kind / package.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        entries.append((f'share/ament_index/resource_index/{kind}', [relative(path)]))
    described = folders['rosidl_generator_type_description'] / package.name
    idl = folders['idl'] / package.name
    entries.append((f'share/{package.name}', ['package.xml']))
    entries.append((f'share/{package.name}/msg', [
        file for name in names for file in (
            f'{name}.msg', relative(idl / f'{name}.idl'), relative(described / f'{name}.json'))]))
    return entries


def build(folder: Path, uses: tuple[str, ...], hashes: dict[str, str], description: str):
    """Generate the sources of a :class:`Package` in a folder and run setuptools."""
    package = Package(folder, uses, hashes)
    refuse_without_compiler(package)
    generated = folder / 'build' / 'generated'
    shutil.rmtree(generated, ignore_errors=True)
    folders = Generator(package, generated).run()
    python = (folders['rosidl_generator_py'] / package.name).relative_to(folder)
    setup(
        name=package.name.replace('_', '-'),
        version=ElementTree.parse(folder / 'package.xml').findtext('version'),
        description=description,
        license='Apache-2.0',
        packages=[package.name, f'{package.name}.msg'],
        package_dir={package.name: str(python), f'{package.name}.msg': str(python / 'msg')},
        ext_modules=[extension(package, folders)],
        data_files=ament_files(package, folders),
        install_requires=[
            *(f'ros-jazzy-{used.replace("_", "-")}==5.3.6' for used in uses), 'numpy'],
        zip_safe=False)
