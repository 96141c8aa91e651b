"""A keystore as ``ros2 security`` makes it, by openssl alone, from the policy that we ship."""

from pathlib import Path
import subprocess
from xml.etree import ElementTree

RULES = {('topics', 'publish'): [('publish', 'rt')],
         ('topics', 'subscribe'): [('subscribe', 'rt')],
         ('services', 'reply'): [('subscribe', 'rq'), ('publish', 'rr')]}
"""Of the policy's expressions: what DDS has to allow, and how it names the topics."""

GOVERNANCE = """<?xml version="1.0" encoding="UTF-8"?>
<dds><domain_access_rules><domain_rule>
<domains><id_range><min>0</min><max>232</max></id_range></domains>
<allow_unauthenticated_participants>false</allow_unauthenticated_participants>
<enable_join_access_control>true</enable_join_access_control>
<discovery_protection_kind>ENCRYPT</discovery_protection_kind>
<liveliness_protection_kind>ENCRYPT</liveliness_protection_kind>
<rtps_protection_kind>SIGN</rtps_protection_kind>
<topic_access_rules><topic_rule>
<topic_expression>*</topic_expression>
<enable_discovery_protection>true</enable_discovery_protection>
<enable_liveliness_protection>true</enable_liveliness_protection>
<enable_read_access_control>true</enable_read_access_control>
<enable_write_access_control>true</enable_write_access_control>
<metadata_protection_kind>ENCRYPT</metadata_protection_kind>
<data_protection_kind>ENCRYPT</data_protection_kind>
</topic_rule></topic_access_rules>
</domain_rule></domain_access_rules></dds>
"""


def allowed(policy: Path, enclave: str) -> dict:
    """Return ``{(kind, way): [full names]}`` of an enclave: kind topics or services."""
    found: dict = {}
    for profile in ElementTree.parse(policy).iterfind(
            f".//enclave[@path='{enclave}']/profiles/profile"):
        for group in profile:
            for way in [name for name, value in group.attrib.items() if value == 'ALLOW']:
                found.setdefault((group.tag, way), []).extend(
                    _full_name(item.text, profile.attrib) for item in group)
    return found


def make_keystore(folder: Path, policy: Path, enclaves) -> Path:
    """Write the keystore: one authority, and a signed folder for every enclave."""
    public, private = folder / 'public', folder / 'private'
    for path in (public, private, folder / 'enclaves'):
        path.mkdir(parents=True)
    ca, ca_key = public / 'ca.cert.pem', private / 'ca.key.pem'
    _openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', ca_key)
    _openssl('req', '-x509', '-new', '-key', ca_key, '-days', '30', '-subj', '/CN=sros2CA',
             '-out', ca)
    for name in ('identity_ca', 'permissions_ca'):
        (public / f'{name}.cert.pem').symlink_to('ca.cert.pem')
        (private / f'{name}.key.pem').symlink_to('ca.key.pem')
    governance = folder / 'enclaves' / 'governance.xml'
    governance.write_text(GOVERNANCE)
    _sign(governance, ca, ca_key)
    for enclave in enclaves:
        _make_enclave(folder, policy, enclave, ca, ca_key)
    return folder


def _make_enclave(folder: Path, policy: Path, enclave: str, ca: Path, ca_key: Path):
    place = folder / 'enclaves' / enclave.lstrip('/')
    place.mkdir(parents=True)
    for name in ('identity_ca', 'permissions_ca'):
        (place / f'{name}.cert.pem').symlink_to(folder / 'public' / f'{name}.cert.pem')
    (place / 'governance.p7s').symlink_to(folder / 'enclaves' / 'governance.p7s')
    request = place / 'request.pem'
    _openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', place / 'key.pem')
    # the name begins with a slash: openssl would take it for a separator
    _openssl('req', '-new', '-key', place / 'key.pem', '-out', request,
             '-subj', f'/CN=\\{enclave}')
    _openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', ca_key, '-CAcreateserial',
             '-days', '30', '-out', place / 'cert.pem')
    permissions = place / 'permissions.xml'
    permissions.write_text(permissions_xml(policy, enclave))
    _sign(permissions, ca, ca_key)


def permissions_xml(policy: Path, enclave: str) -> str:
    """Return the permissions of an enclave in the form of DDS Security."""
    rules: dict = {}
    for group, names in allowed(policy, enclave).items():
        for way, prefix in RULES[group]:
            end = {'rq': 'Request', 'rr': 'Reply'}.get(prefix, '')
            rules.setdefault(way, []).extend(f'{prefix}{name}{end}' for name in names)
    for way in ('publish', 'subscribe'):
        rules.setdefault(way, []).append('ros_discovery_info')
    body = ''.join(f'<{way}><topics>{"".join(f"<topic>{name}</topic>" for name in names)}'
                   f'</topics></{way}>' for way, names in sorted(rules.items()))
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<dds><permissions><grant name="{enclave}">'
            f'<subject_name>CN={enclave}</subject_name><validity>'
            '<not_before>2020-01-01T00:00:00</not_before>'
            '<not_after>2040-01-01T00:00:00</not_after></validity>'
            '<allow_rule><domains><id_range><min>0</min><max>232</max></id_range></domains>'
            f'{body}</allow_rule><default>DENY</default></grant></permissions></dds>\n')


def _full_name(name: str, profile) -> str:
    if name.startswith('/'):
        return name
    space = profile['ns'].rstrip('/')
    return f'{space}/{profile["node"]}{name[1:]}' if name[0] == '~' else f'{space}/{name}'


def _sign(path: Path, ca: Path, ca_key: Path):
    """Write the signed form, which is all that DDS reads."""
    _openssl('smime', '-sign', '-text', '-in', path, '-out', path.with_suffix('.p7s'),
             '-signer', ca, '-inkey', ca_key)


def _openssl(*words):
    done = subprocess.run(['openssl', *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
