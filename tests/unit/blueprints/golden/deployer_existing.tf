import {
  to = aws_iam_policy.checkout-Deployer
  id = "arn:aws:iam::111122223333:policy/codedeploy/deployer/checkout-Deployer"
}

resource "aws_iam_policy" "checkout-Deployer" {
  name        = "checkout-Deployer"
  path        = "/codedeploy/deployer/"
  description = "For orders-pipeline of orders: deploys checkout. Made by Roledesk, never changed."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Application"
        Effect = "Allow"
        Action = [
          "codedeploy:BatchGetApplicationRevisions",
          "codedeploy:BatchGetApplications",
          "codedeploy:CreateApplication",
          "codedeploy:GetApplication",
          "codedeploy:GetApplicationRevision",
          "codedeploy:ListApplicationRevisions",
          "codedeploy:ListDeploymentGroups",
          "codedeploy:RegisterApplicationRevision",
        ]
        Resource = "arn:aws:codedeploy:eu-central-1:111122223333:application:checkout"
      },
      {
        Sid    = "DeploymentGroup"
        Effect = "Allow"
        Action = [
          "codedeploy:BatchGetDeploymentGroups",
          "codedeploy:BatchGetDeployments",
          "codedeploy:CreateDeployment",
          "codedeploy:CreateDeploymentGroup",
          "codedeploy:GetDeployment",
          "codedeploy:GetDeploymentGroup",
          "codedeploy:ListDeployments",
          "codedeploy:UpdateDeploymentGroup",
        ]
        Resource = "arn:aws:codedeploy:eu-central-1:111122223333:deploymentgroup:checkout/checkout-blue-green"
      },
      {
        Sid    = "DeploymentConfigs"
        Effect = "Allow"
        Action = [
          "codedeploy:GetDeploymentConfig",
        ]
        Resource = "arn:aws:codedeploy:eu-central-1:111122223333:deploymentconfig:*"
      },
      {
        Sid    = "NoResourceType"
        Effect = "Allow"
        Action = [
          "cloudwatch:DescribeAlarms",
          "codedeploy:ContinueDeployment",
          "codedeploy:GetDeploymentTarget",
          "codedeploy:ListApplications",
          "codedeploy:ListDeploymentConfigs",
          "codedeploy:ListDeploymentTargets",
          "codedeploy:StopDeployment",
          "lambda:ListFunctions",
          "sns:ListTopics",
        ]
        Resource = "*"
      },
      {
        Sid    = "EcsService"
        Effect = "Allow"
        Action = [
          "ecs:CreateService",
          "ecs:DescribeServices",
          "ecs:UpdateService",
        ]
        Resource = "arn:aws:ecs:eu-central-1:111122223333:service/orders/checkout"
      },
      {
        Sid    = "TaskDefinitions"
        Effect = "Allow"
        Action = [
          "ecs:DescribeTaskDefinition",
          "ecs:RegisterTaskDefinition",
        ]
        Resource = "*"
      },
      {
        Sid    = "PassCodeDeployRole"
        Effect = "Allow"
        Action = "iam:PassRole"
        Resource = [
          "arn:aws:iam::111122223333:role/ecsCodeDeployRole",
        ]
        Condition = {
          StringEquals = {
            "iam:PassedToService" = "codedeploy.amazonaws.com"
          }
        }
      },
      {
        Sid    = "PassTaskRoles"
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
