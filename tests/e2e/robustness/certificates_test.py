#!/usr/bin/env python3
"""Certificates that should not be believed: chains without end, other purposes, past dates, names made to mislead;
and those of the daemon itself, replaced again and again by what is none.

LINNET_RELOADS: how many bad ones in a row.
"""

import datetime
import http.client
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest

import harness
import raw_amqp as amqp
import raw_mqtt as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from harness import Client, Linnetd, Refused

RELOADS = int(os.environ.get("LINNET_RELOADS", 60))
DAY = datetime.timedelta(days=1)
DISTINGUISHED = "CN=client,O=Example"

CONFIG = """\
[tls]
cert_file = "{dir}/server.pem"
key_file = "{dir}/server.key"
ca_file = "{dir}/authority.pem"
verify = "peer"
login_from = "{login_from}"

[auth]
mechanisms = ["PLAIN", "EXTERNAL"]

[mqtt]
anonymous_user = ""

[limits]
handshake_timeout = "3s"
""" + "".join(f"""
[[user]]
name = "{name}"
password = "guest"
[[permission]]
user = "{name}"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"
""" for name in ("guest", "client", DISTINGUISHED))


def common_name(text):
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def organization(text):
    return x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)


class Certificate:
    """A certificate with its key, signed by its issuer or by itself."""

    def __init__(self, *subject, issuer=None, authority=False, purposes=(), names=(), begins=-DAY, ends=DAY):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name(subject)
        self.issuers = [] if issuer is None else [issuer, *issuer.issuers]
        now = datetime.datetime.utcnow()
        signer = issuer or self
        made = x509.CertificateBuilder().subject_name(self.subject).issuer_name(signer.subject)
        made = made.public_key(self.key.public_key()).serial_number(x509.random_serial_number())
        made = made.not_valid_before(now + begins).not_valid_after(now + ends)
        made = made.add_extension(x509.BasicConstraints(authority, None), critical=True)
        if purposes:
            made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self.certificate = made.sign(signer.key, hashes.SHA256())

    def write(self, folder, name):
        """Its chain, without the root that everybody knows, and its key."""
        path = os.path.join(folder, name)
        with open(path + ".pem", "wb") as file:
            for one in [self, *self.issuers[:-1]]:
                file.write(one.certificate.public_bytes(serialization.Encoding.PEM))
        with open(path + ".key", "wb") as file:
            file.write(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))
        return path


class Certificates(unittest.TestCase):
    login_from = "common_name"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="linnet-robustness-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.root = Certificate(common_name("Test authority"), authority=True)
        cls.root.write(cls.folder, "authority")
        cls.server_certificate().write(cls.folder, "server")
        cls.broker = Linnetd(config=CONFIG.format(dir=cls.folder, login_from=cls.login_from), settings=("shards=2",),
                             listen=("amqp=127.0.0.1:0", "amqps=127.0.0.1:0", "mqtts=127.0.0.1:0", "https=127.0.0.1:0"))
        cls.broker.start()
        cls.addClassCleanup(cls.broker.stop)

    @classmethod
    def server_certificate(cls, **arguments):
        return Certificate(common_name("server"), issuer=cls.root, names=[x509.DNSName("localhost")], **arguments)

    def tearDown(self):
        # Whatever a test did to it, the broker serves on both listeners.
        harness.works(self.broker.address)
        harness.works(self.broker.address_of("amqps"), wrap=self.wrap())

    def context(self, certificate=None):
        made = ssl.create_default_context(cafile=os.path.join(self.folder, "authority.pem"))
        if certificate is not None:
            path = certificate.write(self.folder, "shown")
            made.load_cert_chain(path + ".pem", path + ".key")
        return made

    def wrap(self, certificate=None):
        made = self.context(certificate)
        return lambda sock: made.wrap_socket(sock, server_hostname="localhost")

    def enter(self, certificate):
        """By EXTERNAL."""
        return Client(self.broker.address_of("amqps"), wrap=self.wrap(certificate), mechanism="EXTERNAL")

    def assert_is(self, name, certificate):
        with self.enter(certificate) as client:
            queue = client.declare("", exclusive=True).values["queue"]
            client.publish(queue, user_id=name)  # whoever says another name than its own ends its channel
            client.call(1, "basic.consume", queue=queue, no_ack=True)
            client.expect(1, "basic.deliver")
            client.hang_up()

    def assert_not_welcome(self, certificate):
        """By TLS: not even to log in with a password."""
        with self.assertRaises((ssl.SSLError, OSError, Refused)) as refused:
            Client(self.broker.address_of("amqps"), wrap=self.wrap(certificate))
        if isinstance(refused.exception, Refused):
            self.assertEqual(refused.exception.event.name, amqp.EOF)

    def assert_nobody(self, certificate):
        """TLS takes it, and it names no user, over no protocol."""
        with self.assertRaises(Refused) as refused:
            self.enter(certificate)
        self.assertIn((refused.exception.event.name, refused.exception.code),
                      ((amqp.EOF, None), ("connection.close", 403)))
        with mqtt.Client(self.broker.address_of("mqtts")) as client:
            client.sock = self.wrap(certificate)(client.sock)
            client.send(mqtt.connect("me"))
            self.assertEqual(client.receive().reason(), 0x86)
        link = http.client.HTTPSConnection("localhost", self.broker.address_of("https")[1], timeout=20,
                                           context=self.context(certificate))
        self.addCleanup(link.close)
        link.request("GET", "/api/whoami")
        self.assertEqual(link.getresponse().status, 401)


class Chains(Certificates):
    def client(self, *authorities, **arguments):
        issuer = self.root
        for name in authorities:
            issuer = Certificate(common_name(name), issuer=issuer, authority=True)
        return Certificate(common_name("client"), issuer=issuer, **arguments)

    def test_as_long_as_anybody_needs(self):
        self.assert_is("client", self.client())
        self.assert_is("client", self.client("one", "two", "three"))

    def test_sixteen_deep(self):
        self.assert_not_welcome(self.client(*(f"authority {i}" for i in range(16))))

    def test_a_hundred_deep(self):
        self.assert_not_welcome(self.client(*(f"authority {i}" for i in range(100))))

    def test_an_issuer_that_is_no_authority(self):
        neighbour = Certificate(common_name("neighbour"), issuer=self.root)
        self.assert_not_welcome(Certificate(common_name("client"), issuer=neighbour))

    def test_signed_by_itself(self):
        self.assert_not_welcome(Certificate(common_name("client")))
        self.assert_not_welcome(Certificate(common_name("client"), issuer=Certificate(
            common_name("Test authority"), authority=True)))

    def test_dates(self):
        self.assert_not_welcome(self.client(ends=-DAY / 2))
        self.assert_not_welcome(self.client(begins=DAY / 2))

    def test_purposes(self):
        self.assert_is("client", self.client(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]))
        self.assert_is("client", self.client(purposes=[ExtendedKeyUsageOID.SERVER_AUTH,
                                                       ExtendedKeyUsageOID.CLIENT_AUTH]))
        for other in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING,
                      ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.OCSP_SIGNING):
            with self.subTest(other):
                self.assert_not_welcome(self.client(purposes=[other]))

    def test_an_authority_for_servers_only_makes_no_clients(self):
        servers = Certificate(common_name("servers"), issuer=self.root, authority=True,
                              purposes=[ExtendedKeyUsageOID.SERVER_AUTH])
        self.assert_not_welcome(Certificate(common_name("client"), issuer=servers))


class CommonNames(Certificates):
    def test_the_name_and_nothing_like_it(self):
        self.assert_is("client", Certificate(organization("Example"), common_name("client"), issuer=self.root))
        for name in ("client\0", "client\0.example", "\0client", "client ", " client", "Client", "client\r\n", "cli*nt",
                     ".*", "CN=client", "\u0441lient", "client\u200b", "c" * 64):
            with self.subTest(name):
                self.assert_nobody(Certificate(common_name(name), issuer=self.root))

    def test_none(self):
        self.assert_nobody(Certificate(organization("client"), issuer=self.root))
        self.assert_nobody(Certificate(organization("Example"), issuer=self.root, names=[x509.DNSName("client")]))

    def test_two_names_are_no_name(self):
        self.assert_nobody(Certificate(common_name("client"), common_name("guest"), issuer=self.root))

    def test_other_letters_of_the_same_bytes(self):
        letters = "client".encode().decode("utf-16-be")
        name = x509.NameAttribute(NameOID.COMMON_NAME, letters, _type=_ASN1Type.BMPString)
        self.assert_nobody(Certificate(name, issuer=self.root))


class DistinguishedNames(Certificates):
    login_from = "distinguished_name"

    def test_the_name_and_nothing_like_it(self):
        self.assert_is(DISTINGUISHED, Certificate(organization("Example"), common_name("client"), issuer=self.root))
        for subject in ([common_name("client"), organization("Example")], [common_name("client,O=Example")],
                        [organization("Example"), common_name("client\0")], [common_name("client")],
                        [organization("Example,CN=client")],
                        [organization("Example"), organization("Other"), common_name("client")]):
            with self.subTest(subject):
                self.assert_nobody(Certificate(*subject, issuer=self.root))


class AlternativeNames(Certificates):
    login_from = "subject_alternative_name"

    def test_the_name_and_nothing_like_it(self):
        self.assert_is("client", self.named(x509.DNSName("client")))
        for name in (x509.DNSName("client\0.example"), x509.DNSName("\0client"), x509.DNSName("Client"),
                     x509.DNSName("*"), x509.DNSName("client.example"), x509.UniformResourceIdentifier("client"),
                     x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), x509.DirectoryName(x509.Name([
                         common_name("client")]))):
            with self.subTest(name):
                self.assert_nobody(self.named(name))

    def test_none(self):
        self.assert_nobody(Certificate(common_name("client"), issuer=self.root))

    def named(self, *names):
        return Certificate(common_name("whoever"), issuer=self.root, names=names)

    def test_what_is_no_name_is_not_passed_over(self):
        names = (x509.DNSName("x\0"), x509.DNSName("client"))
        self.assert_nobody(Certificate(common_name("whoever"), issuer=self.root, names=names))


class OfTheDaemon(Certificates):
    def shown(self, name="localhost", **checks):
        """The certificate that a client is shown, by its serial number."""
        made = self.context()
        for check, value in checks.items():
            setattr(made, check, value)
        with Client(self.broker.address_of("amqps"),
                    wrap=lambda sock: made.wrap_socket(sock, server_hostname=name)) as client:
            number = int(client.sock.getpeercert()["serialNumber"], 16)
            client.hang_up()
        return number

    def reload(self, expected):
        said = self.broker.log_text().count(expected)
        self.broker.signal(signal.SIGHUP)
        harness.wait_for(lambda: self.broker.log_text().count(expected) > said, 5, expected)

    def replace(self, certificate):
        certificate.write(self.folder, "server")
        self.reload("reloaded (digest")
        return certificate.certificate.serial_number

    def test_whatever_name_is_asked_for(self):
        number = self.shown()
        self.assertEqual(self.shown(None, check_hostname=False), number)
        self.assertEqual(self.shown("elsewhere.example", check_hostname=False), number)

    def test_one_that_has_expired_is_not_believed_until_it_is_replaced(self):
        self.replace(self.server_certificate(ends=-DAY / 2))
        with self.assertRaisesRegex(ssl.SSLCertVerificationError, "expired"):
            self.shown()
        self.assertEqual(self.replace(self.server_certificate()), self.shown())

    def test_it_renegotiates_with_nobody(self):
        asked = subprocess.Popen(
            ["openssl", "s_client", "-connect", "{}:{}".format(*self.broker.address_of("amqps")), "-tls1_2"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(asked.kill)
        for line in asked.stdout:
            if "Extended master secret" in line:  # the last that it tells of the handshake
                break
        said, _ = asked.communicate("R\n", 20)
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)

    def test_bad_ones_change_nothing_however_often(self):
        good = self.server_certificate()
        number = self.replace(good)
        whole = {}
        for name in ("server.pem", "server.key"):
            with open(os.path.join(self.folder, name), "rb") as file:
                whole[name] = file.read()
        other = self.server_certificate().write(self.folder, "other")
        with open(other + ".key", "rb") as file:
            foreign = file.read()
        bad = [("server.pem", b""), ("server.key", b""), ("server.pem", b"-----BEGIN CERTIFICATE-----\n"),
               ("server.pem", whole["server.pem"][:200]), ("server.key", whole["server.key"][:100]),
               ("server.pem", os.urandom(1000)), ("server.key", os.urandom(1000)), ("server.key", foreign),
               ("server.pem", whole["server.key"]), ("server.key", whole["server.pem"]), ("server.pem", None),
               ("server.key", None)]
        living = Client(self.broker.address_of("amqps"), wrap=self.wrap())
        with living:
            descriptors = harness.idle_descriptors(self.broker.pid)
            for i in range(RELOADS):
                name, content = bad[i % len(bad)]
                path = os.path.join(self.folder, name)
                os.unlink(path)
                if content is not None:
                    with open(path, "wb") as file:
                        file.write(content)
                self.reload("nothing was reloaded")
                with open(path, "wb") as file:
                    file.write(whole[name])
                if i % 10 == 0:
                    self.assertEqual(self.shown(), number)
            self.assertEqual(self.shown(), number)
            self.assertLessEqual(harness.idle_descriptors(self.broker.pid), descriptors)
            living.declare("", exclusive=True)
            living.hang_up()
        self.assertEqual(self.replace(self.server_certificate()), self.shown())


if __name__ == "__main__":
    unittest.main()
