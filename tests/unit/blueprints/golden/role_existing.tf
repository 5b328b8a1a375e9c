import {
  to = aws_iam_role.ecsCodeDeployRole
  id = "ecsCodeDeployRole"
}

resource "aws_iam_role" "ecsCodeDeployRole" {
  name = "ecsCodeDeployRole"
  path = "/"
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
    cost-center = "4711"
    team        = "orders"
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
