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
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "ecsCodeDeployRole_AWSCodeDeployRoleForECS" {
  role       = aws_iam_role.ecsCodeDeployRole.name
  policy_arn = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
}
