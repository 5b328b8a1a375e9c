"""Lines that name what deployments use: names and ARNs become ARNs, and what is wrong gets its own sentence."""

from __future__ import annotations

import pytest

from iamroles.blueprints import AccountFacts, named
from iamroles.blueprints.named import ECS_SERVICE, FUNCTION, GROUP, LISTENER, STACK, TOPIC, Thing, read_bundles

ACCOUNT = AccountFacts("111122223333", "orders-prod")
HERE = "eu-central-1:111122223333"
LISTENER_ARN = f"arn:aws:elasticloadbalancing:{HERE}:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2"


@pytest.mark.parametrize(
    ("thing", "line", "arn"),
    [
        (ECS_SERVICE, "shop/api", f"arn:aws:ecs:{HERE}:service/shop/api"),
        (ECS_SERVICE, f"arn:aws:ecs:{HERE}:service/shop/api", f"arn:aws:ecs:{HERE}:service/shop/api"),
        (FUNCTION, "CodeDeployHook_x", f"arn:aws:lambda:{HERE}:function:CodeDeployHook_x"),
        (FUNCTION, "hook:live", f"arn:aws:lambda:{HERE}:function:hook:live"),
        (TOPIC, '"CodeDeployTopic_x",', f"arn:aws:sns:{HERE}:CodeDeployTopic_x"),
        (GROUP, "orders/blue-green", f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/blue-green"),
        (GROUP, "orders/*", f"arn:aws:codedeploy:{HERE}:deploymentgroup:orders/*"),
        (STACK, "orders", f"arn:aws:cloudformation:{HERE}:stack/orders/*"),
        (STACK, f"arn:aws:cloudformation:{HERE}:stack/orders", f"arn:aws:cloudformation:{HERE}:stack/orders/*"),
        (LISTENER, LISTENER_ARN, LISTENER_ARN),
    ],
)
def test_reads(thing: Thing, line: str, arn: str) -> None:
    assert named.read_named(f"\n {line} \n{line}", thing, ACCOUNT, "eu-central-1", "f") == ((arn,), ())


@pytest.mark.parametrize(
    ("thing", "line", "words"),
    [
        (ECS_SERVICE, "api", "api is no name of an ECS service"),
        (ECS_SERVICE, "shop/*", "name each ECS service"),
        (ECS_SERVICE, f"arn:aws:ecs:{HERE}:cluster/shop", "is not the ARN of an ECS service"),
        (FUNCTION, "CodeDeployHook_*", "name each Lambda function"),
        (FUNCTION, f"arn:aws:lambda:{HERE}:function:CodeDeployHook_*", "name each Lambda function"),
        (FUNCTION, "f" * 65, "is no name of a Lambda function"),
        (FUNCTION, f"arn:aws:sns:{HERE}:topic", "is not the ARN of a Lambda function"),
        (FUNCTION, "arn:aws:lambda:eu-central-1:999988887777:function:x", "in AWS account 999988887777"),
        (FUNCTION, "arn:aws-cn:lambda:cn-north-1:111122223333:function:x", "in the partition aws-cn"),
        (FUNCTION, "arn:aws:lambda:*:111122223333:function:x", "names no AWS Region"),
        (FUNCTION, "arn:aws:lambda", "is not an ARN"),
        (TOPIC, "<topic>", "<topic> is a placeholder"),
        (TOPIC, "tоpic", "is no name of an SNS topic"),
        (GROUP, f"arn:aws:cloudformation:{HERE}:stack/orders/*", "is not the ARN of a deployment group"),
        (STACK, f"arn:aws:codedeploy:{HERE}:deploymentgroup:a/b", "is not the ARN of a stack"),
        (LISTENER, "listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2", "enter the ARN"),
        (LISTENER, f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/orders/50dc6c495c0c9188", "is no name"),
    ],
)
def test_names_what_is_wrong(thing: Thing, line: str, words: str) -> None:
    _, problems = named.read_named(line, thing, ACCOUNT, "eu-central-1", "f")
    assert words in " ".join(p.message for p in problems)
    assert {p.field for p in problems} == {"f"}


def test_a_bare_name_needs_its_region_and_an_arn_does_not() -> None:
    found, problems = named.read_named(f"hook\narn:aws:lambda:{HERE}:function:other", FUNCTION, ACCOUNT, "", "hooks")
    assert found == (f"arn:aws:lambda:{HERE}:function:other",)
    assert [(p.field, p.message.split(",")[0]) for p in problems] == [("region", "Enter the AWS Region of hook")]


def test_too_many_lines_are_told() -> None:
    text = "\n".join(f"hook{number}" for number in range(61))
    _, problems = named.read_named(text, FUNCTION, ACCOUNT, "eu-central-1", "hooks")
    assert [p.message for p in problems] == ["61 lines do not fit one policy. Name at most 60."]


@pytest.mark.parametrize(("text", "region"), [("eu-central-1", "eu-central-1"), ("us-gov-west-1", "us-gov-west-1")])
def test_regions(text: str, region: str) -> None:
    assert named.read_region(text) == (region, ())


def test_what_is_no_region_is_said() -> None:
    assert [p.message for p in named.read_region("Frankfurt")[1]] == [
        "Frankfurt is no AWS Region. One looks like eu-central-1."
    ]


@pytest.mark.parametrize(
    ("line", "arn"),
    [
        ("releases/orders/", "arn:aws:s3:::releases/orders/*"),
        ("s3://releases/orders/*", "arn:aws:s3:::releases/orders/*"),
        ("arn:aws:s3:::releases/orders/appspec.yaml", "arn:aws:s3:::releases/orders/appspec.yaml"),
    ],
)
def test_reads_places_in_s3(line: str, arn: str) -> None:
    assert read_bundles(line, ACCOUNT) == ((arn,), ())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("releases", "name where in the bucket"),
        ("Releases/x/", "is no name of an S3 bucket"),
        ("releases/*", "name where in the bucket"),
        ("releases/a*b", "name the prefix or the file"),
        ("releases/${aws:username}", "name the prefix"),
        ("releases/$x", "name the prefix"),
        ("releases/a b", "printable ASCII"),
        ("arn:aws-cn:s3:::releases/x", "not the ARN of an S3 object in this partition"),
        ("<bucket>/x", "<bucket> is a placeholder"),
    ],
)
def test_names_what_is_wrong_with_a_place_in_s3(line: str, words: str) -> None:
    found, problems = read_bundles(line, ACCOUNT)
    assert found == ()
    assert words in " ".join(p.message for p in problems)
    assert {p.field for p in problems} == {"bundles"}
