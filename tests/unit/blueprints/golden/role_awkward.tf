import {
  to = aws_iam_role.ecsCodeDeployRole
  id = "ecsCodeDeployRole"
}

resource "aws_iam_role" "ecsCodeDeployRole" {
  name                 = "ecsCodeDeployRole"
  path                 = "/cd/"
  description          = "Says \"hello\" \\ $${name} %%{if} \u0024$${twice}\nsecond line\té"
  permissions_boundary = "arn:aws:iam::111122223333:policy/boundary/B"
  max_session_duration = 7200
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = ""
        Effect = "Allow"
        Principal = {
          Service = [
            "codedeploy.amazonaws.com",
          ]
        }
        Action = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = "111122223333"
          }
        }
      },
    ]
  })
  tags = {
    "a:b" = "$${x}"
  }
}

import {
  to = aws_iam_policy.ecsCodeDeployRole-PassRole
  id = "arn:aws:iam::111122223333:policy/ecsCodeDeployRole-PassRole"
}

resource "aws_iam_policy" "ecsCodeDeployRole-PassRole" {
  name        = "ecsCodeDeployRole-PassRole"
  path        = "/"
  description = "Lets ecsCodeDeployRole pass the named roles to ECS tasks. Managed by Roledesk."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = "iam:PassRole"
        Resource = [
          "arn:aws:iam::111122223333:role/apps/orders-api-task",
        ]
        Condition = {
          StringEquals = {
            "iam:PassedToService" = "ecs-tasks.amazonaws.com"
          }
        }
      },
    ]
  })
}

import {
  to = aws_iam_role_policy_attachment.ecsCodeDeployRole_a_b
  id = "ecsCodeDeployRole/arn:aws:iam::111122223333:policy/a.b"
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_a_b" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = "arn:aws:iam::111122223333:policy/a.b"
}

import {
  to = aws_iam_role_policy_attachment.ecsCodeDeployRole_a_b_2
  id = "ecsCodeDeployRole/arn:aws:iam::111122223333:policy/a@b"
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_a_b_2" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = "arn:aws:iam::111122223333:policy/a@b"
}

import {
  to = aws_iam_role_policy_attachment.ecsCodeDeployRole_ecsCodeDeployRole-PassRole
  id = "ecsCodeDeployRole/arn:aws:iam::111122223333:policy/ecsCodeDeployRole-PassRole"
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_ecsCodeDeployRole-PassRole" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = aws_iam_policy.ecsCodeDeployRole-PassRole.arn
}

import {
  to = aws_iam_role_policy_attachment.ecsCodeDeployRole_AWSCodeDeployRoleForECSLimited
  id = "ecsCodeDeployRole/arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_AWSCodeDeployRoleForECSLimited" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
}

import {
  to = aws_iam_role_policy.ecsCodeDeployRole_logs_more
  id = "ecsCodeDeployRole:logs+more"
}

resource "aws_iam_role_policy" "ecsCodeDeployRole_logs_more" {
  name = "logs+more"
  role = aws_iam_role.ecsCodeDeployRole.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:aws:s3:::b/$${aws:username}/$${*}"
      },
      {
        Effect = "Deny"
        NotAction = [
          "s3:*",
        ]
        Resource = "*"
        Condition = {
          Bool = {
            "aws:SecureTransport" = false
          }
          NumericLessThan = {
            "s3:max-keys" = 10
          }
        }
      },
    ]
  })
}
