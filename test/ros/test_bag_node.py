"""A bag played to the node, at any rate, gives the bodies of ``niki run`` on that bag."""

import time

from bags import camera_messages, pixel_pipeline, STEP_NS, write_bag
from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from ros_fixtures import accounted, Client, running, wait_for
from rosbags.highlevel import AnyReader


def play(bag, client, rate: float):
    topics = {'/camera/image_raw': client.images, '/camera/camera_info': client.infos}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            topics[connection.topic].publish(bytes(data))
            time.sleep(STEP_NS * 0.5e-9 / rate)


@pytest.mark.parametrize('storage, rate', [('sqlite3', 1.0), ('mcap', 30.0)])
def test_same_bodies_whatever_the_rate(tmp_path, storage, rate):
    bag = write_bag(tmp_path / 'bag', camera_messages(40), storage)
    with running(lambda config: pixel_pipeline(config), client=Client) as (node, client):
        play(bag, client, rate)
        assert wait_for(lambda: accounted(node) and len(client.clouds) == node.health.processed)
        clouds = {ns_from_stamp(cloud.header.stamp): cloud for cloud in client.clouds}
        counts = node.health.counts()
    # how many are left out is the machine's affair; what comes out of the rest is not
    assert len(clouds) == counts['processed'] >= 3
    compared, pipeline = 0, pixel_pipeline()
    with open_source(bag) as source:
        for frame in source:
            if frame.stamp_ns in clouds:
                ours = pipeline.process(frame.image_rgb, frame.camera, frame.stamp_ns)
                theirs = bodies_from_cloud(clouds[frame.stamp_ns])
                assert [body.id for body in ours] == [body.id for body in theirs] == [1]
                assert np.array_equal(ours[0].joints_m.astype(np.float32), theirs[0].joints_m)
                assert np.array_equal(ours[0].confidence, theirs[0].confidence)
                assert np.array_equal(ours[0].status, theirs[0].status)
                compared += 1
    assert compared == counts['processed']
