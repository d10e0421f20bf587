"""What Amazon's own client gets, over HTTP, from a server that keeps SageMaker's contract."""

from __future__ import annotations

import json

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import napari_lungcls as lc

POINTS = [[20.0, 10.0], [47.5, 47.5], [80.0, 31.0]]


@pytest.fixture(scope="module")
def runtime(client):
    """A client of the runtime that talks to the server, and does not repeat what is refused."""
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=str(client.base_url),
        region_name="eu-central-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture(scope="module")
def expected(image, model_file):
    stack = lc.as_stack(image, pixel_size=1.0)
    return lc.load(model_file, device="cpu").classify(stack, POINTS)


def test_the_centre_of_a_picture_as_a_list(runtime, picture, expected):
    answer = runtime.invoke_endpoint(EndpointName="lung", Body=picture, ContentType="image/png")
    assert answer["ContentType"] == "application/json"
    np.testing.assert_allclose(json.load(answer["Body"]), expected[1], atol=1e-6)


def test_points_as_lines(runtime, picture, expected):
    answer = runtime.invoke_endpoint(
        EndpointName="lung",
        Body=picture,
        ContentType="application/x-image",
        Accept="application/jsonlines",
        CustomAttributes=f"coordinates={json.dumps(POINTS)};class-order=class 2,class 0,class 1",
    )
    rows = [json.loads(line)["prediction"] for line in answer["Body"].iter_lines()]
    np.testing.assert_allclose(rows, expected[:, [2, 0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("body", "options", "words"),
    [
        (b"no picture", {}, "picture"),
        (None, {"TargetModel": "none.tar.gz"}, "none"),
        (None, {"CustomAttributes": "coordinates=[[1000,0]]"}, "1000"),
    ],
)
def test_what_cannot_be_answered_is_a_validation_error(runtime, picture, body, options, words):
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(
            EndpointName="lung", Body=body or picture, ContentType="image/png", **options
        )
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert words in str(caught.value)
