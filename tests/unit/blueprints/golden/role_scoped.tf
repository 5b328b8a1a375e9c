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

# Not yet proved on AWS: try one deployment before you rely on this policy.
resource "aws_iam_policy" "ecsCodeDeployRole-Deployments" {
  name        = "ecsCodeDeployRole-Deployments"
  path        = "/"
  description = "Lets ecsCodeDeployRole use what its deployments name. Managed by Roledesk."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "cloudwatch:DescribeAlarms",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeTargetGroups",
        ]
        Resource = "*"
      },
      {
        Effect = "Allow"
        Action = [
          "ecs:DescribeServices",
          "ecs:UpdateServicePrimaryTaskSet",
        ]
        Resource = [
          "arn:aws:ecs:eu-central-1:111122223333:service/shop/orders-api",
        ]
      },
      {
        Effect   = "Allow"
        Action   = "ecs:CreateTaskSet"
        Resource = "*"
        Condition = {
          ArnEquals = {
            "ecs:cluster" = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
            "ecs:service" = [
              "arn:aws:ecs:eu-central-1:111122223333:service/shop/orders-api",
            ]
          }
        }
      },
      {
        Effect = "Allow"
        Action = "ecs:DeleteTaskSet"
        Resource = [
          "arn:aws:ecs:eu-central-1:111122223333:task-set/shop/orders-api/*",
        ]
      },
      {
        Effect = "Allow"
        Action = "elasticloadbalancing:ModifyListener"
        Resource = [
          "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2",
        ]
      },
      {
        Effect = "Allow"
        Action = "elasticloadbalancing:ModifyRule"
        Resource = [
          "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener-rule/app/orders/50dc6c495c0c9188/f2f7dc8efc522ab2/*",
        ]
      },
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
          "arn:aws:iam::111122223333:role/ecsTaskExecutionRole",
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
