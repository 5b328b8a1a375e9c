resource "aws_iam_role" "ecsCodeDeployRole" {
  name                 = "ecsCodeDeployRole"
  path                 = "/"
  max_session_duration = 43200
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
          ArnLike = {
            "aws:SourceArn" = [
              "arn:aws:codedeploy:eu-central-1:111122223333:deploymentgroup:orders/blue-green",
            ]
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

resource "aws_iam_policy" "ecsCodeDeployRole-Deployments" {
  name        = "ecsCodeDeployRole-Deployments"
  path        = "/"
  description = "Lets ecsCodeDeployRole use what its deployments name. Managed by Roledesk."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = "lambda:InvokeFunction"
        Resource = [
          "arn:aws:lambda:eu-central-1:111122223333:function:orders-check",
        ]
      },
      {
        Effect = "Allow"
        Action = "sns:Publish"
        Resource = [
          "arn:aws:sns:eu-central-1:111122223333:orders-alerts",
        ]
      },
      {
        Effect = "Allow"
        Action = [
          "s3:GetObject",
          "s3:GetObjectVersion",
        ]
        Resource = [
          "arn:aws:s3:::orders-releases/blue-green/*",
        ]
      },
    ]
  })
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

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_ecsCodeDeployRole-Deployments" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = aws_iam_policy.ecsCodeDeployRole-Deployments.arn
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_ecsCodeDeployRole-PassRole" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = aws_iam_policy.ecsCodeDeployRole-PassRole.arn
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_AWSCodeDeployRoleForECSLimited" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited"
}
